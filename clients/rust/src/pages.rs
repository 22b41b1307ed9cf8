//! Which pages are wanted, asked for and still to be asked for again. Pages are read one after the
//! other per want, a few at a time; an answer that a lost socket owes is asked for again.

use std::collections::{HashMap, VecDeque};

use volery_kernel::chat::ChatId;
use volery_kernel::id::Id;
use volery_kernel::time::Timestamp;
use volery_wire::client::{Chats, History, Request};
use volery_wire::field::Blob;

/// Pages that are asked for at once; the node allows more.
const AT_ONCE: usize = 3;
/// After a refusal that may pass, in milliseconds.
const AGAIN_MS: u64 = 2_000;

/// A page that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Want {
    /// A page of the chat list: the first, or from a cursor on.
    Chats(Option<Blob>),
    /// The newest messages of a chat.
    Newest(ChatId),
    /// Messages of a chat before this one.
    Before(ChatId, Id),
    /// The same (or the newest), further back: the page before was empty.
    Further(ChatId, Option<Id>, Blob),
}

impl Want {
    fn request(&self) -> Request<'static> {
        let history = |chat, before, cursor| {
            let (after, around, around_time, limit) = (None, None, None, None);
            Request::History(History { chat, before, after, around, around_time, cursor, limit })
        };
        match self {
            Self::Chats(cursor) => Request::Chats(Chats { cursor: cursor.clone(), limit: None }),
            Self::Newest(chat) => history(*chat, None, None),
            Self::Before(chat, id) => history(*chat, Some(*id), None),
            Self::Further(chat, _, cursor) => history(*chat, None, Some(cursor.clone())),
        }
    }
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Pages {
    waiting: VecDeque<Want>,
    asked: HashMap<u64, Want>,
    not_before: Timestamp,
}

impl Pages {
    /// Wants a page, unless it is wanted already.
    pub fn want(&mut self, want: Want) {
        if !self.is_wanted(&want) {
            self.waiting.push_back(want);
        }
    }

    /// Whether the page is wanted and not here.
    #[must_use]
    pub fn is_wanted(&self, want: &Want) -> bool {
        self.waiting.contains(want) || self.asked.values().any(|asked| asked == want)
    }

    /// Whether messages of the chat are wanted.
    #[must_use]
    pub fn is_reading(&self, of: ChatId) -> bool {
        self.waiting.iter().chain(self.asked.values()).any(|want| match want {
            Want::Newest(chat) | Want::Before(chat, _) | Want::Further(chat, ..) => *chat == of,
            Want::Chats(_) => false,
        })
    }

    /// Whether nothing is wanted.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.asked.is_empty()
    }

    /// Nothing is wanted any more; answers that are under way are not for us.
    pub fn clear(&mut self) {
        (self.waiting, self.asked) = (VecDeque::new(), HashMap::new());
    }

    /// Asks for what may be asked for now, through `ask`, which gives the request id if there is a session.
    pub fn ask(&mut self, now: Timestamp, mut ask: impl FnMut(Request<'static>) -> Option<u64>) {
        while self.asked.len() < AT_ONCE && self.not_before <= now {
            let Some(want) = self.waiting.front() else { return };
            let Some(request) = ask(want.request()) else { return };
            self.asked.extend(self.waiting.pop_front().map(|want| (request, want)));
        }
    }

    /// From when on something is to be asked for.
    #[must_use]
    pub fn due(&self) -> Option<Timestamp> {
        (!self.waiting.is_empty() && self.asked.len() < AT_ONCE).then_some(self.not_before)
    }

    /// An answer to `request` came: which want it fulfils.
    pub fn answered(&mut self, request: u64) -> Option<Want> {
        self.asked.remove(&request)
    }

    /// An `error` answers `request`; what may be had later is asked for again.
    pub fn refused(&mut self, request: u64, retryable: bool, now: Timestamp) {
        let Some(want) = self.asked.remove(&request) else { return };
        if retryable {
            self.not_before = now.plus(AGAIN_MS);
            self.waiting.push_front(want);
        }
    }

    /// The socket is gone.
    pub fn lost(&mut self) {
        self.waiting.extend(self.asked.drain().map(|(_, want)| want));
    }
}
