//! Lines for pipes and scripts. Each line read is `@name text`, or `text` for the last name again;
//! `\n` in it is a line break. Each line written is one of
//!
//! ```text
//! in <id> @name text        a message came in (and counts as read: it was written)
//! sent <id> @name text      durable
//! failed <code> @name text  it will never be sent
//! ```
//!
//! The state of the link goes to standard error. When the input ends, it goes on until everything is
//! sent and everything unread is written.

use std::collections::HashSet;
use std::io::{self, BufRead as _, Read as _, Write as _};
use std::time::Duration;

use tokio::sync::mpsc;
use volery_client::core::Link;
use volery_client::intent::Act;
use volery_client::outbox::Ended;
use volery_client::shell::{Client, Person};
use volery_kernel::chat::ChatId;
use volery_kernel::id::{Id, UserId};

use crate::Failure;
use crate::unread::reaches_back;
use crate::wrap::clean;

/// How long a name that cannot be looked up is tried again, once a second.
const LOOK_UP_TIMES: u32 = 30;
/// Lines that wait to be handled; the input waits beyond it.
const LINES_WAITING: usize = 16;
/// A longer line is taken as several.
const LINE_BYTES_MOST: u64 = 65_536;

struct Plain {
    client: Client,
    written: HashSet<Id>,
    to: Option<Person>,
    link: Option<Link>,
}

/// Runs until the input has ended and everything is sent.
pub(crate) async fn run(mut client: Client) -> Result<(), Failure> {
    client.start()?;
    let mut plain = Plain { client, written: HashSet::new(), to: None, link: None };
    let (sender, mut lines) = mpsc::channel(LINES_WAITING);
    // A thread of its own: nothing waits for it when the program ends.
    std::thread::spawn(move || read_lines(&sender));
    let mut open = true;
    loop {
        plain.tell()?;
        if !open && plain.is_done() {
            return Ok(plain.client.close().await?);
        }
        tokio::select! {
            line = lines.recv(), if open => match line {
                Some(line) => plain.line(&line).await?,
                None => open = false,
            },
            news = plain.client.turn() => plain.ended(&news?.ended)?,
        }
    }
}

fn read_lines(lines: &mpsc::Sender<String>) {
    let mut input = io::stdin().lock();
    loop {
        let mut line = Vec::new();
        let read = input.by_ref().take(LINE_BYTES_MOST).read_until(b'\n', &mut line);
        let text = String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned();
        if !matches!(read, Ok(1..)) || lines.blocking_send(text).is_err() {
            return;
        }
    }
}

impl Plain {
    fn is_done(&self) -> bool {
        let device = self.client.device();
        let synced = device.core().link() == Link::Synced;
        synced && device.core().outbox().is_idle() && device.view().chats().iter().all(|chat| chat.unread() == 0)
    }

    async fn line(&mut self, line: &str) -> Result<(), Failure> {
        let text = match line.strip_prefix('@') {
            Some(rest) => {
                let (name, text) = rest.split_once(' ').unwrap_or((rest, ""));
                self.address(name).await?;
                text
            }
            None => line,
        };
        let text = text.replace("\\n", "\n");
        let Some(to) = self.to.clone().filter(|_| !text.is_empty()) else { return Ok(()) };
        let taken = self.client.intend(to.id, Act::Say { text: text.clone(), reply_to: None })?;
        if taken.is_err() {
            self.write(&format!("failed outbox_full @{} {}", to.user_name, escaped(&text)))?;
        }
        Ok(())
    }

    /// Whom the text goes to from now on.
    async fn address(&mut self, name: &str) -> Result<(), Failure> {
        if self.to.as_ref().is_some_and(|person| person.user_name == name) {
            return Ok(());
        }
        self.to = None;
        for _ in 0..LOOK_UP_TIMES {
            let (api, token) = self.client.api();
            match api.by_name(name, &token).await {
                Ok(person) => {
                    self.client.know(person.clone());
                    self.to = Some(person);
                    return Ok(());
                }
                Err(error) if error.is_retryable() => tokio::time::sleep(Duration::from_secs(1)).await,
                Err(error) => {
                    eprintln!("@{name}: {error}");
                    return Ok(());
                }
            }
        }
        eprintln!("@{name}: the gateway cannot be reached");
        Ok(())
    }

    fn ended(&self, ended: &[Ended]) -> Result<(), Failure> {
        for ended in ended {
            let Act::Say { text, .. } = &ended.intent.act else { continue };
            let name = self.name(ended.intent.to);
            match &ended.outcome {
                Ok(taken) => self.write(&format!("sent {} @{name} {}", taken.id, escaped(text)))?,
                Err(code) => self.write(&format!("failed {code} @{name} {}", escaped(text)))?,
            }
        }
        Ok(())
    }

    fn name(&self, user: UserId) -> String {
        self.client.person(user).map_or_else(|| user.to_string(), |person| person.user_name.clone())
    }

    /// Writes what came in, once each, and marks it as read.
    fn tell(&mut self) -> Result<(), Failure> {
        let link = self.client.device().core().link();
        if self.link != Some(link) && !matches!((self.link, link), (Some(Link::Waiting(_)), Link::Waiting(_))) {
            self.tell_link(link)?;
            self.link = Some(link);
        }
        let chats = self.client.device().view().chats();
        let unread: Vec<ChatId> = chats.iter().filter(|chat| chat.unread() > 0).map(|chat| chat.id()).collect();
        unread.into_iter().try_for_each(|chat| self.tell_chat(chat))
    }

    fn tell_link(&mut self, link: Link) -> Result<(), Failure> {
        match link {
            Link::Synced => eprintln!("connected"),
            Link::Waiting(_) => eprintln!("offline {}", self.client.trouble().unwrap_or_default()),
            Link::Down(down) if self.link.is_some() => return Err(Failure::Down(down)),
            _ => {}
        }
        Ok(())
    }

    fn tell_chat(&mut self, id: ChatId) -> Result<(), Failure> {
        let device = self.client.device();
        let Some(chat) = device.view().chat(id) else { return Ok(()) };
        if !reaches_back(chat) {
            if !device.is_reading(id) {
                self.client.older(id)?;
            }
            return Ok(());
        }
        let Some(name) = self.client.person(chat.peer()).map(|person| person.user_name.clone()) else { return Ok(()) };
        let mut unread: Vec<_> = chat.timeline.lines().filter(|line| chat.is_unread(line)).collect();
        let shown = chat.shown(unread.iter().copied());
        unread.retain(|line| self.written.insert(line.id));
        let lines: Vec<String> =
            unread.iter().map(|line| format!("in {} @{name} {}", line.id, escaped(&line.text))).collect();
        lines.iter().try_for_each(|line| self.write(line))?;
        if let Some(shown) = shown {
            self.client.read(id, shown)?;
        }
        Ok(())
    }

    fn write(&self, line: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        writeln!(out, "{line}")?;
        out.flush()?;
        Ok(())
    }
}

fn escaped(text: &str) -> String {
    clean(&text.replace('\n', "\\n"))
}
