//! A gateway on a free port, over a real account node on the model of the account store.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::sync::watch;
use volery_account::{AccountNode, AccountOptions, AccountParts, EventSink, HashCost, NotAppended};
use volery_gateway::{Gateway, GatewayOptions, GatewayParts, Rates};
use volery_kernel::chat::ChatId;
use volery_kernel::event::{Body, Event, Seen, SendKey};
use volery_kernel::id::{DeviceId, SessionNumber, UserId};
use volery_kernel::map::{Member, PartitionMap};
use volery_kernel::position::{Offset, Position, Source};
use volery_kernel::slot::Partition;
use volery_node::health::Health;
use volery_node::metrics::Metrics;
use volery_ports::history::{Anchor, ChatView, ChatsPage, History, HistoryError, MessageView, Page, Stretch};
use volery_testkit::sql::{CountedIds, ManualClock, Model, id};
use volery_tls::Trust;

/// A log that takes everything, or nothing.
#[derive(Default)]
pub(crate) struct TestLog {
    pub(crate) events: Mutex<Vec<Event>>,
    pub(crate) away: Mutex<bool>,
}

#[async_trait]
impl EventSink for TestLog {
    async fn append(&self, event: Event) -> Result<(), NotAppended> {
        if *self.away.lock() {
            return Err(NotAppended("told so".into()));
        }
        self.events.lock().push(event);
        Ok(())
    }
}

/// Whose chat list, from which cursor, how long.
type AskedList = (UserId, Option<Vec<u8>>, usize);

/// Answers one message and writes down what was asked.
#[derive(Default)]
pub(crate) struct TestHistory {
    pub(crate) pages: Mutex<Vec<(UserId, ChatId, Anchor, usize)>>,
    pub(crate) lists: Mutex<Vec<AskedList>>,
    pub(crate) fails: Mutex<Option<HistoryError>>,
}

impl TestHistory {
    fn or_fail<T>(&self, answer: T) -> Result<T, HistoryError> {
        self.fails.lock().clone().map_or(Ok(answer), Err)
    }
}

fn message(sender: UserId) -> MessageView {
    MessageView {
        id: id(77),
        sender,
        key: SendKey { device: DeviceId::default(), session: SessionNumber::default(), number: 1 },
        source: Source::new(1, 5),
        body: Body::text("hello"),
        reply_to: None,
        edited: None,
        deleted: None,
        reactions: Vec::new(),
    }
}

#[async_trait]
impl History for TestHistory {
    async fn page(&self, user: UserId, chat: ChatId, anchor: Anchor, limit: usize) -> Result<Page, HistoryError> {
        self.pages.lock().push((user, chat, anchor, limit));
        self.or_fail(Page {
            messages: vec![message(user)],
            older: Some(vec![1, 2, 255]),
            newer: None,
            covers: Source::new(1, 9),
        })
    }

    async fn chats(&self, user: UserId, cursor: Option<Vec<u8>>, limit: usize) -> Result<ChatsPage, HistoryError> {
        self.lists.lock().push((user, cursor, limit));
        let none = Seen::default();
        let chat = ChatView {
            chat: ChatId::direct(user, user),
            newest: Some(message(user)),
            unread: 3,
            read: none,
            delivered: none,
            peer_delivered: none,
            peer_read: none,
            newest_incoming: Source::ZERO,
        };
        self.or_fail(ChatsPage { chats: vec![chat], next: None })
    }

    async fn archived(&self, _: Partition) -> Result<Option<Position>, HistoryError> {
        self.or_fail(None)
    }

    async fn stretch(&self, _: UserId, _: Partition, _: Offset, _: usize) -> Result<Stretch, HistoryError> {
        self.or_fail(Stretch::default())
    }

    async fn undelivered(&self, _: UserId, _: usize) -> Result<Vec<(ChatId, Seen)>, HistoryError> {
        self.or_fail(Vec::new())
    }
}

pub(crate) struct Bench {
    pub(crate) gateway: Gateway,
    pub(crate) store: Arc<Model>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) log: Arc<TestLog>,
    pub(crate) history: Arc<TestHistory>,
    pub(crate) health: Health,
    pub(crate) map: watch::Sender<Arc<PartitionMap>>,
    client: reqwest::Client,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Checks that it is a problem, whole and consistent; its code and field.
    pub(crate) fn problem(&self) -> (String, Option<String>) {
        let body = self.json();
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let code = text("code").expect("a code");
        let known = volery_kernel::code::Code::ALL.iter().find(|known| known.text() == code).expect("a known code");
        assert_eq!(known.http(), self.status.as_u16(), "{self:?}");
        assert_eq!(body["status"], known.http());
        assert_eq!(text("type"), Some(format!("urn:volery:error:{code}")));
        assert_eq!(text("title").as_deref(), Some(known.meaning()));
        assert_eq!(text("request_id").as_deref(), self.header("x-request-id"));
        (code, text("field"))
    }
}

pub(crate) fn options() -> GatewayOptions {
    let many = NonZeroU32::new(1_000_000).expect("not zero");
    let rates = Rates {
        logins_per_minute: many,
        logins_per_minute_address: many,
        registrations_per_hour_address: many,
        refreshes_per_minute_address: many,
    };
    GatewayOptions {
        listen: ([127, 0, 0, 1], 0).into(),
        workers: 1,
        rates: watch::channel(rates).1,
        ..GatewayOptions::default()
    }
}

/// A map of two nodes, `one` and `two`.
pub(crate) fn owned_by(owners: &[Option<u16>]) -> Arc<PartitionMap> {
    let member = |name: &str| Member::new(name.to_owned(), format!("ws://{name}:8401/v1/ws"));
    Arc::new(PartitionMap::new(1, vec![member("one"), member("two")], owners).expect("a map"))
}

pub(crate) async fn bench() -> Bench {
    bench_with(options()).await
}

pub(crate) async fn bench_with(options: GatewayOptions) -> Bench {
    let (store, clock, log) = (Arc::new(Model::default()), Arc::new(ManualClock::default()), Arc::default());
    let account_options = AccountOptions {
        hash_cost: HashCost { memory_kib: 8, passes: 1, lanes: 1 },
        relay_every: Duration::from_millis(5),
        tell_within: Duration::from_millis(200),
        ..AccountOptions::default()
    };
    let parts = AccountParts {
        store: store.clone(),
        sink: Arc::<TestLog>::clone(&log),
        ids: Arc::new(CountedIds::default()),
        clock: clock.clone(),
        rng: Box::new(StdRng::seed_from_u64(1)),
    };
    let accounts = AccountNode::start(account_options, parts).await.expect("starts");
    let (map, nodes) = watch::channel(owned_by(&[Some(0); 4]));
    let (history, health) = (Arc::new(TestHistory::default()), Health::new());
    let parts = GatewayParts {
        tls: None,
        tokens: accounts.clone(),
        accounts,
        history: history.clone(),
        map: nodes,
        clock: clock.clone(),
        health: health.clone(),
        metrics: Metrics::new().expect("metrics"),
    };
    let gateway = Gateway::start(&options, parts).expect("a free port");
    let trust = Trust::nobody().expect("a configuration");
    let client = reqwest::Client::builder().tls_backend_preconfigured((*trust).clone()).build().expect("a client");
    Bench { gateway, store, clock, log, history, health, map, client }
}

impl Bench {
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.gateway.address()))
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Answer {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status(), response.headers().clone());
        Answer { status, headers, text: response.text().await.expect("a body") }
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Answer {
        self.send(self.request(Method::GET, path).bearer_auth(token)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::POST, path).json(&body)).await
    }

    pub(crate) async fn log_in(&self, name: &str) -> Answer {
        self.post("/v1/login", json!({"user_name": name, "password": format!("{name} password")})).await
    }

    /// A user that is registered and logged in: what log-in answered.
    pub(crate) async fn person(&self, name: &str) -> Value {
        let body = json!({"user_name": name, "password": format!("{name} password")});
        assert_eq!(self.post("/v1/register", body).await.status, 201);
        let answer = self.log_in(name).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }
}

pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} in {value}"))
}
