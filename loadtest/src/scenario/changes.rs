//! What people of a `day` do to messages that are there: edit or delete one of their own, react to one of the other
//! side, take that back. A decision from random numbers and from what the device shows.

use rand::RngExt as _;
use rand::rngs::StdRng;
use volery_client::device::Device;
use volery_client::view::Line;
use volery_kernel::id::UserId;

use crate::fleet::habit::{Change, Wish};

/// One changes what is still before one's eyes: so many messages.
const ON_SCREEN: usize = 20;
/// Of ten changes one is a deletion and three are edits: deleted messages take no more changes, so they must stay few.
/// The rest are reactions.
const OF: u32 = 10;
const DELETIONS: u32 = 1;
const EDITS: u32 = 3;
/// How likely one's reaction to a message is taken back, instead of replaced.
const TAKEN_BACK: f64 = 0.5;
/// Of one code point, of two, and of three.
const EMOJIS: [&str; 3] = ["🐦", "👍🏽", "👩\u{200d}🚀"];

/// A change of some message; `None` if none is there that one may change so.
pub(super) fn draw(random: &mut StdRng, device: &Device) -> Option<Wish> {
    let chats = device.view().chats();
    let chat = *any(random, &chats)?;
    let (me, kind) = (chat.me(), random.random_range(0..OF));
    let is_own = kind < DELETIONS + EDITS;
    let may = |line: &&Line| line.deleted.is_none() && (line.from == me) == is_own;
    let lines: Vec<&Line> = chat.timeline.lines().rev().take(ON_SCREEN).filter(may).collect();
    let line = *any(random, &lines)?;
    let change = match kind {
        ..DELETIONS => Change::Delete,
        _ if is_own => Change::Edit,
        _ => reaction(random, line, me),
    };
    Some(Wish::Change { to: chat.peer(), id: line.id, change })
}

fn reaction(random: &mut StdRng, line: &Line, me: UserId) -> Change {
    let has_reacted = line.reactions().any(|(by, _)| by == me);
    if has_reacted && random.random_bool(TAKEN_BACK) {
        return Change::Unreact;
    }
    Change::React(EMOJIS[random.random_range(0..EMOJIS.len())])
}

fn any<'a, T>(random: &mut StdRng, of: &'a [T]) -> Option<&'a T> {
    of.get(random.random_range(0..of.len().max(1)))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use volery_client::state::State;
    use volery_client::view::View;
    use volery_kernel::chat::ChatId;
    use volery_kernel::id::{DeviceId, Id};
    use volery_kernel::limits;
    use volery_kernel::position::Source;
    use volery_wire::server::{Changed, Message, Reply};

    use super::*;

    const ME: u64 = 1;
    const OTHER: u64 = 2;

    fn user(raw: u64) -> UserId {
        UserId::new(raw).expect("an id")
    }

    fn id(raw: u64) -> Id {
        Id::new(raw).expect("an id")
    }

    fn message(raw: u64, from: u64) -> Reply<'static> {
        Reply::Message(Message {
            chat: ChatId::direct(user(ME), user(OTHER)),
            id: id(raw),
            from: user(from),
            source: Source(raw),
            text: "d0.1".into(),
            reply_to: None,
            key: None,
            shown: None,
            edited: None,
            deleted: None,
            reactions: Vec::new(),
            position: None,
        })
    }

    fn change(raw: u64, deleted: bool, emoji: Option<&'static str>) -> Reply<'static> {
        let (chat, emoji) = (ChatId::direct(user(ME), user(OTHER)), emoji.map(Into::into));
        let (change, by) = (id(100 + raw), user(ME));
        Reply::Changed(Changed { chat, id: id(raw), change, by, text: None, deleted, emoji, key: None, position: None })
    }

    fn shows(replies: &[Reply<'static>]) -> Device {
        let device = DeviceId::new(3).expect("an id");
        let mut view = View::new(user(ME), device);
        replies.iter().for_each(|reply| view.event(reply));
        Device::keeping(device, view, &State::default(), true)
    }

    #[test]
    fn people_change_their_own_messages_and_react_to_those_of_others() {
        let (gone, reacted) = (change(4, true, None), change(6, false, Some("x")));
        let device = shows(&[message(4, ME), gone, message(5, ME), message(6, OTHER), reacted]);
        let mut random = StdRng::seed_from_u64(1);
        let mut seen = [0; 4];
        for _ in 0..500 {
            let Some(Wish::Change { to, id: of, change }) = draw(&mut random, &device) else { panic!("no change") };
            let (kind, target) = match change {
                Change::Delete => (0, 5),
                Change::Edit => (1, 5),
                Change::React(_) => (2, 6),
                Change::Unreact => (3, 6),
            };
            assert_eq!((to, of), (user(OTHER), id(target)), "{change:?}");
            seen[kind] += 1;
        }
        assert!(seen.iter().all(|seen| *seen > 20), "{seen:?}");
    }

    #[test]
    fn who_has_not_reacted_takes_nothing_back_and_who_sees_nothing_changes_nothing() {
        let mut random = StdRng::seed_from_u64(2);
        let device = shows(&[message(6, OTHER)]);
        let drawn: Vec<_> = (0..200).filter_map(|_| draw(&mut random, &device)).collect();
        assert!(drawn.iter().all(|wish| matches!(wish, Wish::Change { change: Change::React(_), .. })), "{drawn:?}");
        assert!(!drawn.is_empty());
        assert_eq!(draw(&mut random, &shows(&[])), None);
        assert!(EMOJIS.iter().all(|emoji| emoji.len() <= limits::EMOJI_BYTES.value));
    }
}
