//! Page cursors: opaque to clients, checked when they come back. At most 64 bytes.

use volery_kernel::chat::ChatId;
use volery_kernel::id::Id;
use volery_ports::history::HistoryError;
use volery_ports::timeline::Span;

const PAGE: u8 = 1;
const CHATS: u8 = 2;

/// The cursor of the messages on one side of a page.
#[must_use]
pub fn of_page(chat: ChatId, span: Span) -> Vec<u8> {
    let (side, id) = match span {
        Span::Before(id) => (0, id),
        Span::After(id) => (1, id),
    };
    join(PAGE, &chat.to_key(), side, id)
}

/// The span of a cursor of this chat.
///
/// # Errors
/// [`HistoryError::InvalidCursor`] for everything that [`of_page`] did not make for this chat.
pub fn to_span(chat: ChatId, cursor: &[u8]) -> Result<Span, HistoryError> {
    let (side, id) = split(PAGE, &chat.to_key(), cursor).ok_or(HistoryError::InvalidCursor)?;
    match side {
        0 => Ok(Span::Before(id)),
        1 => Ok(Span::After(id)),
        _ => Err(HistoryError::InvalidCursor),
    }
}

/// The cursor after a chat of the chat list.
#[must_use]
pub fn of_chats(newest: Id, chat: ChatId) -> Vec<u8> {
    join(CHATS, &chat.to_key(), 0, newest)
}

/// Newest id and chat after which the list goes on.
///
/// # Errors
/// [`HistoryError::InvalidCursor`] for everything that [`of_chats`] did not make.
pub fn to_chats(cursor: &[u8]) -> Result<(Id, ChatId), HistoryError> {
    let key = cursor.get(1..18).ok_or(HistoryError::InvalidCursor)?;
    let chat = ChatId::from_key(key).map_err(|_| HistoryError::InvalidCursor)?;
    match split(CHATS, key, cursor) {
        Some((0, newest)) => Ok((newest, chat)),
        _ => Err(HistoryError::InvalidCursor),
    }
}

fn join(kind: u8, key: &[u8], side: u8, id: Id) -> Vec<u8> {
    [&[kind], key, &[side], &id.get().to_be_bytes()].concat()
}

fn split(kind: u8, key: &[u8], cursor: &[u8]) -> Option<(u8, Id)> {
    let rest = cursor.strip_prefix(&[kind])?.strip_prefix(key)?;
    let (&side, id) = rest.split_first()?;
    let id = <[u8; 8]>::try_from(id).ok()?;
    Some((side, Id::new(u64::from_be_bytes(id)).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use volery_kernel::id::UserId;

    fn chat(a: u64, b: u64) -> ChatId {
        ChatId::direct(UserId::new(a).unwrap(), UserId::new(b).unwrap())
    }

    proptest! {
        #[test]
        fn cursors_come_back_for_their_own_chat_only(a in 0u64..9, b in 0u64..9, id in 0..=u64::MAX >> 1) {
            let span = Span::Before(Id::new(id).unwrap());
            let cursor = of_page(chat(a, b), span);
            prop_assert_eq!(to_span(chat(a, b), &cursor), Ok(span));
            prop_assert_eq!(to_span(chat(a, 77), &cursor), Err(HistoryError::InvalidCursor));
            prop_assert!(to_chats(&cursor).is_err());
        }

        #[test]
        fn made_up_cursors_are_refused_or_mean_themselves(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok((newest, chat)) = to_chats(&bytes) {
                prop_assert_eq!(of_chats(newest, chat), bytes);
            }
        }
    }
}
