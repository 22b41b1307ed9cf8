//! Who is addressed, and what a reader sees as one conversation.

use std::fmt;
use std::str::FromStr;

use crate::id::{GroupId, Id, UserId};

/// A user or a group; the data path treats both alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Recipient {
    /// One person.
    User(UserId),
    /// A group.
    Group(GroupId),
}

impl Recipient {
    /// The kind as it is hashed, keyed and stored. Persisted: never renumbered.
    #[must_use]
    pub const fn kind(self) -> u8 {
        match self {
            Self::User(_) => 1,
            Self::Group(_) => 2,
        }
    }

    /// The id without its kind.
    #[must_use]
    pub const fn id(self) -> Id {
        match self {
            Self::User(user) => user.0,
            Self::Group(group) => group.0,
        }
    }

    /// Kind byte and id, big-endian: what is hashed, and the key on the log.
    #[must_use]
    pub fn to_key(self) -> [u8; 9] {
        let mut key = [0; 9];
        key[0] = self.kind();
        key[1..].copy_from_slice(&self.id().get().to_be_bytes());
        key
    }

    /// The recipient of [`Recipient::to_key`]; `None` for any other bytes.
    #[must_use]
    pub fn from_key([kind, id @ ..]: [u8; 9]) -> Option<Self> {
        let id = Id::new(u64::from_be_bytes(id)).ok()?;
        match kind {
            1 => Some(Self::User(UserId(id))),
            2 => Some(Self::Group(GroupId(id))),
            _ => None,
        }
    }

    /// The chat in which `sender` and this recipient meet.
    #[must_use]
    pub fn chat_with(self, sender: UserId) -> ChatId {
        match self {
            Self::User(user) => ChatId::direct(sender, user),
            Self::Group(group) => ChatId::Group(group),
        }
    }
}

/// A conversation. Written `direct:<smaller user>:<larger user>` or `group:<id>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChatId {
    /// Two users, smaller id first; the same user twice is their notes to self.
    Direct(UserId, UserId),
    /// A group's conversation.
    Group(GroupId),
}

/// A text that names no chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a chat is written direct:<user>:<user>, the smaller id first, or group:<id>")]
pub struct NotAChat;

impl ChatId {
    /// The direct chat of two users, in whichever order they are given.
    #[must_use]
    pub fn direct(a: UserId, b: UserId) -> Self {
        Self::Direct(a.min(b), a.max(b))
    }

    /// The other side of a direct chat as `user` sees it: themselves in their notes;
    /// `None` in a group and for somebody who is not part of it.
    #[must_use]
    pub fn peer_of(self, user: UserId) -> Option<UserId> {
        match self {
            Self::Direct(a, b) if a == user => Some(b),
            Self::Direct(a, b) if b == user => Some(a),
            Self::Direct(..) | Self::Group(_) => None,
        }
    }

    /// 17 bytes that sort and compare as the chat does: kind, then the ids big-endian. Persisted.
    #[must_use]
    pub fn to_key(self) -> [u8; 17] {
        let (kind, a, b) = match self {
            Self::Direct(a, b) => (1, a.get(), b.get()),
            Self::Group(group) => (2, group.get(), 0),
        };
        let mut key = [0; 17];
        key[0] = kind;
        key[1..9].copy_from_slice(&a.to_be_bytes());
        key[9..].copy_from_slice(&b.to_be_bytes());
        key
    }

    /// The chat of [`ChatId::to_key`].
    ///
    /// # Errors
    /// [`NotAChat`] for any other bytes.
    pub fn from_key(key: &[u8]) -> Result<Self, NotAChat> {
        let (&kind, rest) = key.split_first().ok_or(NotAChat)?;
        let (a, b) = rest.split_first_chunk::<8>().ok_or(NotAChat)?;
        let b = <[u8; 8]>::try_from(b).map_err(|_| NotAChat)?;
        Self::from_raw(kind, u64::from_be_bytes(*a), u64::from_be_bytes(b))
    }

    fn from_raw(kind: u8, a: u64, b: u64) -> Result<Self, NotAChat> {
        match kind {
            1 if a <= b => {
                Ok(Self::Direct(UserId::new(a).map_err(|_| NotAChat)?, UserId::new(b).map_err(|_| NotAChat)?))
            }
            2 if b == 0 => Ok(Self::Group(GroupId::new(a).map_err(|_| NotAChat)?)),
            _ => Err(NotAChat),
        }
    }
}

impl fmt::Display for ChatId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct(a, b) => write!(f, "direct:{a}:{b}"),
            Self::Group(group) => write!(f, "group:{group}"),
        }
    }
}

impl FromStr for ChatId {
    type Err = NotAChat;

    fn from_str(text: &str) -> Result<Self, NotAChat> {
        let (kind, ids) = text.split_once(':').ok_or(NotAChat)?;
        let number = |text: &str| text.parse::<u64>().map_err(|_| NotAChat);
        match (kind, ids.split_once(':')) {
            ("direct", Some((a, b))) => Self::from_raw(1, number(a)?, number(b)?),
            ("group", None) => Self::from_raw(2, number(ids)?, 0),
            _ => Err(NotAChat),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chats() -> impl Strategy<Value = ChatId> {
        let user = || (0..=u64::MAX >> 1).prop_filter_map("id", |raw| UserId::new(raw).ok());
        let group = (0..=u64::MAX >> 1).prop_filter_map("id", |raw| GroupId::new(raw).ok());
        prop_oneof![(user(), user()).prop_map(|(a, b)| ChatId::direct(a, b)), group.prop_map(ChatId::Group)]
    }

    proptest! {
        #[test]
        fn keys_and_texts_come_back(chat in chats()) {
            prop_assert_eq!(ChatId::from_key(&chat.to_key()), Ok(chat));
            prop_assert_eq!(chat.to_string().parse::<ChatId>(), Ok(chat));
        }

        #[test]
        fn made_up_keys_are_refused_or_mean_themselves(key in prop::collection::vec(any::<u8>(), 0..20)) {
            if let Ok(chat) = ChatId::from_key(&key) {
                prop_assert_eq!(&chat.to_key()[..], &key[..]);
            }
        }
    }
}
