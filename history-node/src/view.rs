//! A stored row as people may see it: changes applied, if their actor may.

use volery_kernel::event::Body;
use volery_kernel::id::Id;
use volery_ports::history::MessageView;
use volery_ports::timeline::{ChangeKind, MessageRow};

/// Applies the changes of a row: edits and deletion by the sender only, one reaction a user.
/// Deletion absorbs: body and reactions of a deleted message are empty.
#[must_use]
pub fn view(row: MessageRow) -> MessageView {
    let MessageRow { message, changes } = row;
    let mut view = MessageView {
        id: message.id,
        sender: message.sender,
        key: message.key,
        source: message.source,
        body: message.body,
        reply_to: message.reply_to,
        edited: None,
        deleted: None,
        reactions: Vec::new(),
    };
    for change in changes {
        let own = change.actor == view.sender;
        match change.what {
            ChangeKind::Edit(body) if own && view.edited.unwrap_or(Id::ZERO) < change.id => {
                view.body = body;
                view.edited = Some(change.id);
            }
            ChangeKind::Delete if own => view.deleted = view.deleted.max(Some(change.id)),
            ChangeKind::React(emoji) if !emoji.is_empty() => view.reactions.push((change.actor, emoji)),
            ChangeKind::Edit(_) | ChangeKind::Delete | ChangeKind::React(_) => {}
        }
    }
    if view.deleted.is_some() {
        view.body = Body { kind: view.body.kind, bytes: bytes::Bytes::new() };
        view.reactions.clear();
    }
    view.reactions.sort_unstable();
    view
}
