//! Keys, channels and what stands in them: texts, so that `redis-cli` shows them to people.

use volery_kernel::id::UserId;
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;
use volery_ports::bus::{News, Presence, Topic};

const PRESENCE: &str = "volery:presence:";
const TYPING: &str = "volery:typing:";
const ONLINE: &str = "online";
const UNKNOWN: &str = "unknown";

/// Where a user's presence is kept.
pub(crate) fn key(user: UserId) -> String {
    format!("{PRESENCE}{user}")
}

/// Where a topic is heard.
#[must_use]
pub fn channel(topic: Topic) -> String {
    match topic {
        Topic::Presence(user) => key(user),
        Topic::Typing(partition) => format!("{TYPING}{}", partition.0),
    }
}

pub(crate) fn presence_text(presence: Presence) -> String {
    match presence {
        Presence::Online => ONLINE.to_owned(),
        Presence::Seen(at) => at.0.to_string(),
        Presence::Unknown => UNKNOWN.to_owned(),
    }
}

/// What somebody else may have put there counts as nothing.
pub(crate) fn presence(text: &str) -> Presence {
    match text {
        ONLINE => Presence::Online,
        text => text.parse().map_or(Presence::Unknown, |at| Presence::Seen(Timestamp(at))),
    }
}

pub(crate) fn typing_text(to: UserId, from: UserId) -> String {
    format!("{to} {from}")
}

/// What a message on a channel says; `None` if it is none of ours.
#[must_use]
pub fn read(channel: &str, payload: &str) -> Option<(Topic, News)> {
    if let Some(user) = channel.strip_prefix(PRESENCE) {
        let user = user.parse().ok()?;
        return Some((Topic::Presence(user), News::Presence { user, presence: presence(payload) }));
    }
    let partition = Partition(channel.strip_prefix(TYPING)?.parse().ok()?);
    let (to, from) = payload.split_once(' ')?;
    Some((Topic::Typing(partition), News::Typing { to: to.parse().ok()?, from: from.parse().ok()? }))
}

#[cfg(test)]
mod tests {
    use volery_kernel::id::Id;

    use super::*;

    fn user(n: u64) -> UserId {
        UserId(Id::new(n).expect("an id"))
    }

    #[test]
    fn names_are_for_ever() {
        let (typing, of_user) = (Topic::Typing(Partition(7)), Topic::Presence(user(42)));
        assert_eq!((channel(typing), channel(of_user)), ("volery:typing:7".into(), "volery:presence:42".into()));
        assert_eq!(read("volery:typing:7", "42 43"), Some((typing, News::Typing { to: user(42), from: user(43) })));
        for (text, presence) in
            [("online", Presence::Online), ("unknown", Presence::Unknown), ("1800", Presence::Seen(Timestamp(1800)))]
        {
            assert_eq!(presence_text(presence), text);
            let news = News::Presence { user: user(42), presence };
            assert_eq!(read("volery:presence:42", text), Some((of_user, news)));
        }
    }

    #[test]
    fn what_is_not_ours_is_nothing() {
        for (channel, payload) in [
            ("volery:typing:x", "1 2"),
            ("volery:typing:70000", "1 2"),
            ("volery:typing:1", "1"),
            ("volery:typing:1", "1 2 3"),
            ("volery:typing:1", "9223372036854775808 1"),
            ("volery:presence:", "online"),
            ("else", "online"),
        ] {
            assert_eq!(read(channel, payload), None, "{channel} {payload}");
        }
        assert_eq!(presence("soon"), Presence::Unknown);
    }
}
