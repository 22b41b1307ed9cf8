//! A stored row as people may see it: changes applied, if their actor may.

use volery_kernel::event::Body;
use volery_kernel::id::Id;
use volery_ports::history::{MessageView, Reaction};
use volery_ports::timeline::{ChangeKind, MessageRow};

/// Applies the changes of a row: edits and deletion by the sender only, one reaction a user. One that was
/// taken back stays as an empty one: whoever holds an older one learns from its change that it is gone.
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
            ChangeKind::React(emoji) => {
                view.reactions.push(Reaction { by: change.actor, emoji, change: change.id });
            }
            ChangeKind::Edit(_) | ChangeKind::Delete => {}
        }
    }
    if view.deleted.is_some() {
        view.body = Body { kind: view.body.kind, bytes: bytes::Bytes::new() };
        view.reactions.clear();
    }
    view.reactions.sort_unstable_by_key(|reaction| reaction.by);
    view
}
