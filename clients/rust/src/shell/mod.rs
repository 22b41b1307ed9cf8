//! A client with sockets, files and clocks around the [`Device`]. Its owner drives it: [`Client::turn`]
//! handles one thing that happened outside; everything else is a call. So nothing is copied for a
//! screen that shows the view, and there is no queue between the two.

mod account;
mod api;
mod effects;
mod socket;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::time::Duration;

use rand::Rng as _;
use rand::rngs::StdRng;
use tokio::sync::mpsc;
use tokio::time::Instant;
use volery_door::socket::Socket;
use volery_kernel::chat::ChatId;
use volery_kernel::id::UserId;
use volery_kernel::time::Timestamp;
use volery_tls::Trust;
use volery_wire::client::{Request, Shown};
use volery_wire::codec::{Encoding, decode_reply, encode_request};

use crate::core::{Core, Effect, Link, Loss, SocketId, Token, Turn};
use crate::device::Device;
use crate::intent::{Act, Local};
use crate::outbox::{Ended, Full};
use crate::store::{FileStore, Store as _, StoreError};
pub use account::{Account, AccountError, DEVICE_CHANGED};
pub use api::{Api, ApiError, Grant, Person, http_client};
use socket::{OUTGOING, Told};

/// Things that happened outside and wait to be handled; their senders wait beyond it.
const INCOMING: usize = 64;
/// A token that seems to have ended by this machine's clock is tried all the same.
const TOKEN_LEAST_MS: u64 = 60_000;
/// What is left to say when a client closes is given up after this long.
const CLOSE_WITHIN: Duration = Duration::from_millis(1_500);
/// A person that could not be looked up is asked for again after this long.
const PEOPLE_AGAIN: Duration = Duration::from_secs(15);

enum Incoming {
    Opened(SocketId, mpsc::Sender<Vec<u8>>),
    Unopened(SocketId, Unopened),
    Socket(SocketId, Told),
    Tokens(Result<Grant, ApiError>),
    Person(UserId, Result<Person, ApiError>),
}

/// What a turn brought, beside what the view shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Intents that came to their end.
    pub ended: Vec<Ended>,
}

/// See the module.
#[derive(Debug)]
pub struct Client {
    device: Device,
    account: Account,
    store: FileStore,
    api: Api,
    incoming: mpsc::Receiver<Incoming>,
    happened: mpsc::Sender<Incoming>,
    outgoing: Option<(SocketId, mpsc::Sender<Vec<u8>>)>,
    random: StdRng,
    began: Instant,
    people: HashMap<UserId, Person>,
    asked: HashSet<UserId>,
    ask_again: Instant,
    trouble: Option<String>,
    /// Where the last socket could not be opened.
    not_at: Option<String>,
    offline_since: Option<Timestamp>,
}

impl Client {
    /// Opens the account that is logged in on this machine, or logs in with the password.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn open(
        home: PathBuf,
        gateway: &str,
        trust: Trust,
        user_name: &str,
        password: Option<&str>,
    ) -> Result<Self, AccountError> {
        let api = Api::new(gateway, trust)?;
        let account = Account::open(home, gateway, &api, user_name, password).await?;
        let store = account.store()?;
        let device = Device::new(account.grant.user, account.grant.device, store.state());
        let (happened, incoming) = mpsc::channel(INCOMING);
        let began = Instant::now();
        Ok(Self {
            device,
            account,
            store,
            api,
            incoming,
            happened,
            outgoing: None,
            random: socket::fresh(),
            began,
            people: HashMap::new(),
            asked: HashSet::new(),
            ask_again: began,
            trouble: None,
            not_at: None,
            offline_since: None,
        })
    }

    /// What is shown, and what waits.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Why the last attempt to connect failed, for people.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Since when nothing can be heard, by the wall clock.
    #[must_use]
    pub fn offline_since(&self) -> Option<Timestamp> {
        self.offline_since
    }

    /// The gateway, and the token to use with it.
    #[must_use]
    pub fn api(&self) -> (Api, String) {
        (self.api.clone(), self.account.grant.access_token.clone())
    }

    /// A person whose name is known already; asked for otherwise.
    #[must_use]
    pub fn person(&self, user: UserId) -> Option<&Person> {
        self.people.get(&user)
    }

    /// A person whom somebody has looked up.
    pub fn know(&mut self, person: Person) {
        self.people.insert(person.id, person);
    }

    /// Milliseconds from now until `at` of the device's clock.
    #[must_use]
    pub fn until(&self, at: Timestamp) -> Duration {
        Duration::from_millis(at.since(self.now()))
    }

    /// The wall clock.
    #[must_use]
    pub fn wall() -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "the shell's one reading of the wall clock")]
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Timestamp(since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX)))
    }

    // ----- what the user does -----

    /// Connects, and stays connected.
    ///
    /// # Errors
    /// [`StoreError`]: nothing may go on then.
    pub fn start(&mut self) -> Result<News, StoreError> {
        let token = self.token();
        self.step(|device, turn| {
            device.input(turn, |core, turn| {
                core.token(token, turn);
                core.start(turn);
            });
        })
    }

    /// Connects now instead of later.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn reconnect(&mut self) -> Result<News, StoreError> {
        self.core(Core::start)
    }

    /// The user wants something in the chat with `to`.
    ///
    /// # Errors
    /// [`StoreError`]; [`Full`] inside.
    pub fn intend(&mut self, to: UserId, act: Act) -> Result<Result<Local, Full>, StoreError> {
        let at = Self::wall();
        let mut taken = Err(Full);
        self.step(|device, turn| taken = device.intend(to, act, at, turn))?;
        Ok(taken)
    }

    /// The user gives up what was never sent, or puts away what failed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn dismiss(&mut self, local: Local) -> Result<bool, StoreError> {
        let mut gone = false;
        self.step(|device, turn| device.input(turn, |core, turn| gone = core.dismiss(local, turn)))?;
        Ok(gone)
    }

    /// The user looks at a chat.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open_chat(&mut self, chat: Option<ChatId>) -> Result<(), StoreError> {
        self.step(|device, turn| device.open(chat, turn)).map(|_| ())
    }

    /// The user has come to the oldest message that is held.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn older(&mut self, chat: ChatId) -> Result<(), StoreError> {
        self.step(|device, turn| {
            device.older(chat, turn);
        })
        .map(|_| ())
    }

    /// The user has seen a chat up to here.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn read(&mut self, chat: ChatId, shown: Shown) -> Result<(), StoreError> {
        self.step(|device, turn| device.read(chat, shown, turn)).map(|_| ())
    }

    /// The user is writing to somebody: with each key.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn typing(&mut self, to: UserId) -> Result<(), StoreError> {
        self.core(|core, turn| core.typing(to, turn)).map(|_| ())
    }

    /// These are on the screen.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn watch(&mut self, users: Vec<UserId>) -> Result<(), StoreError> {
        self.core(|core, turn| core.watch(users, turn)).map(|_| ())
    }

    /// Closes the socket in order and waits a moment for it, and for marks that are on their way.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn close(mut self) -> Result<(), StoreError> {
        let until = Instant::now() + CLOSE_WITHIN;
        let busy = |client: &Self| !client.device.core().is_marked() && client.device.core().link() == Link::Synced;
        while busy(&self) {
            match tokio::time::timeout_at(until, self.turn()).await {
                Ok(news) => drop(news?),
                Err(_) => break,
            }
        }
        self.core(Core::stop)?;
        drop((self.outgoing.take(), self.happened));
        // Sockets drop their senders when they are done.
        let done = async { while self.incoming.recv().await.is_some() {} };
        let _ = tokio::time::timeout_at(until, done).await;
        Ok(())
    }

    // ----- what happens outside -----

    /// Waits for one thing to happen and handles it. May be dropped while it waits.
    ///
    /// # Errors
    /// [`StoreError`]: nothing may go on then.
    pub async fn turn(&mut self) -> Result<News, StoreError> {
        self.ask_people();
        let wake = self.device.wake_at().map_or(Duration::from_secs(3_600), |at| self.until(at));
        // Only a look-up that failed waits for its next try.
        let again = self.ask_again.saturating_duration_since(Instant::now());
        let wake = if again.is_zero() { wake } else { wake.min(again) };
        tokio::select! {
            happened = self.incoming.recv() => match happened {
                Some(happened) => self.handle(happened),
                None => Ok(News::default()),
            },
            () = tokio::time::sleep(wake) => self.core(Core::tick),
        }
    }

    fn handle(&mut self, happened: Incoming) -> Result<News, StoreError> {
        match happened {
            Incoming::Opened(socket, outgoing) => {
                self.outgoing = Some((socket, outgoing));
                (self.trouble, self.not_at) = (None, None);
                self.core(|core, turn| core.connected(socket, turn))
            }
            Incoming::Unopened(socket, unopened) => {
                (self.trouble, self.not_at) = (Some(unopened.why), unopened.at);
                self.step(|device, turn| device.lost(socket, unopened.loss, turn))
            }
            Incoming::Socket(socket, Told::Frames(frames)) => self.frames(socket, frames),
            Incoming::Socket(socket, Told::Lost(loss)) => self.step(|device, turn| device.lost(socket, loss, turn)),
            Incoming::Tokens(granted) => self.tokens(granted),
            Incoming::Person(user, found) => {
                self.asked.remove(&user);
                match found {
                    Ok(person) => self.know(person),
                    Err(_) => self.ask_again = Instant::now() + PEOPLE_AGAIN,
                }
                Ok(News::default())
            }
        }
    }

    fn frames(&mut self, socket: SocketId, frames: Vec<Vec<u8>>) -> Result<News, StoreError> {
        let mut news = News::default();
        for frame in frames {
            let more = match decode_reply(Encoding::MessagePack, &frame) {
                Ok(Some((n, reply))) => self.step(|device, turn| device.frame(socket, n, frame.len(), &reply, turn))?,
                Ok(None) => News::default(),
                Err(malformed) => {
                    self.trouble = Some(format!("the node said something else than the protocol: {malformed}"));
                    self.step(|device, turn| device.lost(socket, Loss::Broken, turn))?
                }
            };
            news.ended.extend(more.ended);
        }
        Ok(news)
    }

    fn tokens(&mut self, granted: Result<Grant, ApiError>) -> Result<News, StoreError> {
        match granted {
            Ok(grant) => {
                self.account.renew(grant)?;
                let token = self.token();
                self.core(|core, turn| core.token(token, turn))
            }
            Err(error) => {
                let forever = !error.is_retryable();
                self.trouble = Some(error.to_string());
                if forever {
                    self.account.forget()?;
                }
                self.core(|core, turn| core.token_failed(forever, turn))
            }
        }
    }

    fn token(&self) -> Token {
        let grant = &self.account.grant;
        let left = grant.access_expires.since(Self::wall()).max(TOKEN_LEAST_MS);
        Token { text: grant.access_token.clone(), until: self.now().plus(left) }
    }

    /// Asks for the names of those whom the view shows.
    fn ask_people(&mut self) {
        if self.ask_again > Instant::now() {
            return;
        }
        let unknown = |user: &UserId| !self.people.contains_key(user) && !self.asked.contains(user);
        let me = self.device.view().me();
        let shown = self.device.view().chats().into_iter().map(|chat| chat.peer()).chain([me]);
        let users: Vec<UserId> = shown.filter(unknown).take(8usize.saturating_sub(self.asked.len())).collect();
        for user in users {
            self.asked.insert(user);
            let ((api, token), happened) = (self.api(), self.happened.clone());
            tokio::spawn(async move {
                let found = api.person(user, &token).await;
                let _ = happened.send(Incoming::Person(user, found)).await;
            });
        }
    }
}

/// Why there is no socket.
struct Unopened {
    why: String,
    loss: Loss,
    /// Where none could be opened, if a node was named.
    at: Option<String>,
}

impl From<ApiError> for Unopened {
    fn from(error: ApiError) -> Self {
        Self { why: error.to_string(), loss: error.loss(), at: None }
    }
}

/// At the address if there is one; else where the gateway says, which is asked for another one than `not`.
async fn open(api: &Api, token: &str, address: Option<String>, not: Option<String>) -> Result<Socket, Unopened> {
    let address = match address {
        Some(address) => address,
        None => api.node(token, not.as_deref()).await?,
    };
    let opened = socket::open(&address, api.trust()).await;
    opened.map_err(|why| Unopened { why, loss: Loss::Broken, at: Some(address) })
}
