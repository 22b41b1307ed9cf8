//! What messages say, as typed values, for whoever checks the contracts from outside: fuzzing does, nothing else.
//!
//! Owns no conversion: each is that of a door or a client. Not here are messages of nothing but texts.

use bytes::Bytes;
use volery_kernel::chat::ChatId;
use volery_kernel::event::Seen;
use volery_kernel::id::{DeviceId, UserId};
use volery_kernel::map::{MapDelta, PartitionMap};
use volery_kernel::position::{Offset, Position};
use volery_kernel::slot::Partition;
use volery_ports::accounts::{Claims, Standing};
use volery_ports::cluster::{Change, Drain, Hold, Order, Settings, Terms};
use volery_ports::history::{Anchor, ChatsPage, Page, Stretch};
use volery_ports::ids::Held;
use volery_ports::sql::{Device, User};

use crate::accounts::convert as accounts;
use crate::check::Checked;
use crate::cluster::{convert as cluster, maps};
use crate::history::{answer, ask};
use crate::numbers::convert as numbers;
use crate::wire::account::v1::{DevicesAnswer, UsersRequest};
use crate::wire::config::v1::{AllSettings, DrainsAnswer};
use crate::wire::idgen::v1::TakeAnswer;

macro_rules! messages {
    ($($kind:literal $name:ident($value:ty): $text:literal, $read:expr, $write:expr;)*) => {
        /// What a message says.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Message {
            $(#[doc = $text] $name($value),)*
        }

        /// Kinds of messages that [`Message::decode`] knows, counted from 0.
        pub const KINDS: u8 = [$($kind),*].len() as u8;

        impl Message {
            /// The kind that [`Message::decode`] reads it as.
            #[must_use]
            pub fn kind(&self) -> u8 {
                match self { $(Self::$name(_) => $kind,)* }
            }

            /// The bytes, as they travel.
            #[must_use]
            pub fn encode(&self) -> Vec<u8> {
                match self.clone() { $(Self::$name(value) => write(value, $write),)* }
            }

            /// What bytes say, read as a message of this kind; `None` if its reader refuses them.
            #[must_use]
            pub fn decode(kind: u8, bytes: &[u8]) -> Option<Self> {
                match kind {
                    $($kind => read(bytes, $read).map(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

messages! {
    0 PageRequest((UserId, ChatId, Anchor, usize)): "For a page of a chat.",
        ask::to_page, |(user, chat, anchor, limit)| ask::page(user, chat, anchor, limit);
    1 ChatsRequest((UserId, Option<Vec<u8>>, usize)): "For a chat list.",
        ask::to_chats, |(user, cursor, limit)| ask::chats(user, cursor, limit);
    2 ArchivedRequest(Partition): "For how far archive is.", ask::to_archived, ask::archived;
    3 StretchRequest((UserId, Partition, Offset, usize)): "For a stretch of an index.",
        ask::to_stretch, |(user, partition, from, limit)| ask::stretch(user, partition, from, limit);
    4 UndeliveredRequest((UserId, usize)): "For chats with something undelivered.",
        ask::to_undelivered, |(user, limit)| ask::undelivered(user, limit);
    5 Page(Page): "A page of a chat.", answer::to_page, answer::page;
    6 Chats(ChatsPage): "A page of a chat list.", answer::to_chats, answer::chats;
    7 Archived(Option<Position>): "How far archive is.", answer::to_archived, answer::archived;
    8 Stretch(Stretch): "A stretch of an index.", answer::to_stretch, answer::stretch;
    9 Undelivered(Vec<(ChatId, Seen)>): "Chats with something undelivered.",
        answer::to_undelivered, answer::undelivered;
    10 Admit((Terms, bool)): "A node that wants to be admitted.",
        cluster::to_admit, |(terms, opened)| cluster::admit(terms, opened);
    11 Hold(Hold): "A node that holds its lease.", cluster::to_hold, cluster::hold;
    12 Settings(Settings): "All dynamic settings.",
        |all: AllSettings| Ok(cluster::to_settings(all)), cluster::settings;
    13 Change(Change): "A change of a setting.", cluster::to_change, cluster::change;
    14 Drains(Vec<Drain>): "Nodes that are drained.",
        |drains: DrainsAnswer| Ok(cluster::to_drains(drains)), cluster::drains;
    15 Order(Order): "An operator's order.", cluster::to_order, cluster::order;
    16 Map(PartitionMap): "A whole map.", maps::to_map, |map: PartitionMap| maps::map(&map);
    17 MapChanges(MapDelta): "What changed in a map.", maps::to_delta, maps::changes;
    18 Claims(Claims): "What a token says.", accounts::to_claims, accounts::claims;
    19 Standing(Option<Standing>): "Whose a device is.", accounts::to_standing, accounts::standing;
    20 Revoked(Vec<(u64, DeviceId)>): "Devices that were logged out.", accounts::to_revoked, accounts::revoked;
    21 UserIds(Vec<UserId>): "Of whom something is asked.",
        |ids: UsersRequest| accounts::to_ids(&ids),
        |ids: Vec<UserId>| UsersRequest { ids: ids.iter().map(|user| user.get()).collect() };
    22 Users(Vec<User>): "People.", accounts::to_users, accounts::users;
    23 Devices(Vec<Device>): "Devices of somebody.", accounts::to_devices,
        |all: Vec<Device>| DevicesAnswer { devices: all.into_iter().map(accounts::device).collect() };
    24 Held(Vec<Held>): "Generator numbers that are held.", numbers::to_all_held,
        |all: Vec<Held>| TakeAnswer { held: all.into_iter().map(numbers::held).collect() };
}

fn read<M: prost::Message + Default, T>(bytes: &[u8], to: impl FnOnce(M) -> Checked<T>) -> Option<T> {
    to(M::decode(Bytes::copy_from_slice(bytes)).ok()?).ok()
}

fn write<T, M: prost::Message>(value: T, from: impl FnOnce(T) -> M) -> Vec<u8> {
    from(value).encode_to_vec()
}
