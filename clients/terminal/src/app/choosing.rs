//! Choosing a message with the keys, and what can be done with it.

use super::{Act, App, Done, Id, Item, KeyCode, KeyEvent, Mode, Phase, Purpose, QUICK, RowKey};

impl App {
    pub(super) fn choosable(&self) -> Vec<RowKey> {
        let rows = self.screen.0.iter().filter(|row| row.last);
        rows.map(|row| row.key).filter(|key| matches!(key, RowKey::Message(_) | RowKey::Pending(_))).collect()
    }

    pub(super) fn begin_choosing(&mut self) {
        let start = self.scroll.start(&self.screen.0, self.screen.1);
        let shown = self.screen.0.iter().skip(start).take(self.screen.1).rev();
        let last = shown.map(|row| row.key).find(|key| matches!(key, RowKey::Message(_) | RowKey::Pending(_)));
        if let Some(key) = last {
            self.mode = Mode::Choose(key);
        }
    }

    pub(super) fn choose(&mut self, key: KeyEvent, at: RowKey) -> Done {
        let line = match at {
            RowKey::Message(id) => self.line(id),
            _ => None,
        };
        let mine = line.as_ref().is_some_and(|line| line.0);
        match (key.code, at) {
            (KeyCode::Up | KeyCode::Char('k'), _) => self.choose_next(at, -1),
            (KeyCode::Down | KeyCode::Char('j'), _) => self.choose_next(at, 1),
            (KeyCode::Char('r') | KeyCode::Enter, RowKey::Message(id)) => {
                (self.purpose, self.mode) = (Purpose::Reply(id), Mode::Write);
            }
            (KeyCode::Char('e'), RowKey::Message(id)) if mine => {
                self.editor.set(&line.map(|line| line.1).unwrap_or_default());
                (self.purpose, self.mode) = (Purpose::Edit(id), Mode::Write);
            }
            (KeyCode::Char('d'), RowKey::Message(id)) if mine => {
                self.mode = Mode::Write;
                if let Some(chat) = self.chat {
                    self.intend(chat, Act::Delete { id })?;
                }
            }
            (KeyCode::Char('e' | 'd'), RowKey::Message(_)) => self.note = Some("only your own messages".to_owned()),
            (KeyCode::Char('+'), RowKey::Message(id)) => self.mode = Mode::React(id),
            (KeyCode::Char('x'), _) => return self.give_up(at),
            (KeyCode::Char('s'), RowKey::Pending(_)) => return self.send_again(at),
            (KeyCode::Char('?'), _) => self.mode = Mode::Help,
            _ => self.mode = Mode::Write,
        }
        Ok(())
    }

    pub(super) fn choose_next(&mut self, at: RowKey, by: isize) {
        let keys = self.choosable();
        let here = keys.iter().position(|key| *key == at).unwrap_or(0);
        let to = here.saturating_add_signed(by);
        match keys.get(to) {
            Some(key) => {
                self.mode = Mode::Choose(*key);
                self.scroll = self.scroll.showing(&self.screen.0, self.screen.1, *key);
                self.opening = false;
            }
            None => self.mode = Mode::Write,
        }
    }

    /// Whether a message is one's own, and its text; `None` if it is deleted.
    pub(super) fn line(&self, id: Id) -> Option<(bool, String)> {
        let chat = self.client.device().view().chat(self.chat?)?;
        let line = chat.timeline.line(id).filter(|line| line.deleted.is_none())?;
        Some((line.from == chat.me(), line.text.clone()))
    }

    /// Puts away what failed or was never sent: the row itself, or changes of the message.
    pub(super) fn give_up(&mut self, at: RowKey) -> Done {
        let concerns = |item: &Item| match (at, &item.intent.act) {
            (RowKey::Pending(local), _) => item.intent.local == local,
            (
                RowKey::Message(id),
                Act::Edit { id: target, .. } | Act::Delete { id: target } | Act::Unreact { id: target },
            ) => *target == id,
            (RowKey::Message(id), Act::React { id: target, .. }) => *target == id,
            _ => false,
        };
        let items = self.client.device().core().outbox().items();
        let locals: Vec<_> = items.filter(|item| concerns(item)).map(|item| item.intent.local).collect();
        for local in locals {
            if !self.client.dismiss(local)? {
                self.note = Some("it is on its way already".to_owned());
            }
        }
        self.mode = Mode::Write;
        Ok(())
    }

    pub(super) fn send_again(&mut self, at: RowKey) -> Done {
        let RowKey::Pending(local) = at else { return Ok(()) };
        let items = self.client.device().core().outbox().items();
        let failed =
            items.filter(|item| matches!(item.phase, Phase::Failed(_))).find(|item| item.intent.local == local);
        let again = failed.map(|item| (item.intent.to, item.intent.act.clone()));
        if let Some((to, act)) = again
            && self.client.intend(to, act)?.is_ok()
        {
            self.client.dismiss(local)?;
        }
        self.mode = Mode::Write;
        Ok(())
    }

    pub(super) fn react(&mut self, key: KeyEvent, id: Id) -> Done {
        let Some(chat) = self.chat else { return Ok(()) };
        self.mode = Mode::Write;
        match key.code {
            KeyCode::Char('0') | KeyCode::Backspace | KeyCode::Delete => drop(self.intend(chat, Act::Unreact { id })?),
            KeyCode::Char(c @ '1'..='6') => {
                let emoji = QUICK[(c as usize - '1' as usize) % QUICK.len()].to_owned();
                self.intend(chat, Act::React { id, emoji })?;
            }
            KeyCode::Char(c) if !c.is_ascii() => drop(self.intend(chat, Act::React { id, emoji: c.to_string() })?),
            _ => {}
        }
        Ok(())
    }
}
