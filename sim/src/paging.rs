//! What a device reads after a reset: its chat list, then every chat, page by page.

use std::collections::VecDeque;

use volery_kernel::chat::ChatId;
use volery_wire::client::{Chats, History, Request};
use volery_wire::field::Blob;
use volery_wire::server::Reply;

use crate::world::{Task, World};

/// Messages of one page: few, so that a chat has several.
const PAGE: u32 = 7;

#[derive(Clone, Debug)]
enum Ask {
    Chats(Option<Blob>),
    Page(ChatId, Option<Blob>),
}

/// See the module.
#[derive(Default)]
pub(crate) struct Paging {
    todo: VecDeque<Ask>,
    asked: Option<(u64, Ask)>,
}

impl Paging {
    pub(crate) fn begin() -> Self {
        Self { todo: VecDeque::from([Ask::Chats(None)]), asked: None }
    }
}

impl World {
    pub(crate) fn paging(&mut self, n: usize, life: u64) {
        let device = &mut self.devices[n];
        if device.life != life {
            return;
        }
        let Some(paging) = device.paging.as_mut().filter(|paging| paging.asked.is_none()) else { return };
        let Some(ask) = paging.todo.pop_front() else {
            device.paging = None;
            self.device(n, |core, turn| core.pages_read(turn));
            return;
        };
        let request = match &ask {
            Ask::Chats(cursor) => Request::Chats(Chats { cursor: cursor.clone(), limit: Some(100) }),
            Ask::Page(chat, cursor) => Request::History(History {
                chat: *chat,
                before: None,
                after: None,
                around: None,
                around_time: None,
                cursor: cursor.clone(),
                limit: Some(PAGE),
            }),
        };
        let asked = self.device(n, |core, turn| core.ask(request, turn)).flatten();
        if let Some(paging) = &mut self.devices[n].paging {
            paging.asked = asked.map(|asked| (asked, ask));
        }
    }

    pub(crate) fn paged(&mut self, n: usize, request: u64, reply: &Reply<'_>) {
        let device = &mut self.devices[n];
        let Some(paging) = &mut device.paging else { return };
        let Some((_, ask)) = paging.asked.take_if(|(asked, _)| *asked == request) else { return };
        let mut wait = 0;
        match reply {
            Reply::ChatList(list) => {
                paging.todo.extend(list.chats.iter().map(|chat| Ask::Page(chat.chat, None)));
                paging.todo.extend(list.next.clone().map(|next| Ask::Chats(Some(next))));
            }
            Reply::Page(page) => {
                paging.todo.extend(page.older.clone().map(|older| Ask::Page(page.chat, Some(older))));
            }
            _ => {
                paging.todo.push_front(ask);
                wait = 500;
            }
        }
        let life = device.life;
        self.after(wait, Task::Paging(n, life));
    }
}
