//! What people and programs send over HTTP, tokens, imports, the configuration of a process, and what is heard
//! from Redis.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use volery_account::{
    AccountNode, AccountOptions, AccountParts, EventSink, HashCost, NotAppended, Progress, import_users,
};
use volery_gateway::outside;
use volery_kernel::event::Event;
use volery_kernel::limits;
use volery_kernel::time::Timestamp;
use volery_node::config::{Loaded, Mistakes, Origin, Sources, keys, load};
use volery_ports::account_service::{AccountService as _, LogIn, Registration};
use volery_ports::accounts::Accounts as _;
use volery_ports::bus::{News, Topic};
use volery_testkit::sql::{CountedIds, ManualClock, Model};

use super::log::block_on;
use crate::Verdict;

/// A body is an object with the fields that it says.
pub(crate) fn body(bytes: &[u8]) -> Verdict {
    let read = outside::body(bytes);
    if let Some((name, display)) = &read {
        let written = serde_json::json!({ "user_name": name, "display_name": display });
        assert_eq!(outside::body(written.to_string().as_bytes()), read);
    }
    Verdict::of(read)
}

pub(crate) fn bodies() -> Vec<Vec<u8>> {
    let full = r#"{"user_name":"ada","display_name":"Ada \"L\" é","password":"correct horse","x":[1,{"y":null}]}"#;
    vec![full.into(), br#"{"user_name":"ada","display_name":null}"#.to_vec()]
}

/// What a query asks for is within its bounds.
pub(crate) fn query(bytes: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(bytes) else { return Verdict::Refused };
    let asked = outside::query(text);
    if let Some(asked) = &asked {
        assert!((1..=limits::PAGE_MOST.value).contains(&asked.limit));
        assert!(asked.cursor.as_ref().is_none_or(|cursor| cursor.len() <= 64));
    }
    Verdict::of(asked.filter(|_| text.contains('=')))
}

pub(crate) fn queries() -> Vec<Vec<u8>> {
    let texts = [
        "limit=100&before=9223372036854775807&cursor=AQID",
        "around_time=2026-11-21T09%3A30%3A00.5%2B01:00&limit=1",
        "cursor=AQEAAAAAAAAAAQAAAAAAAAACAAAAAAAAAAAJ&x=%F0%9F%91%8D",
    ];
    texts.map(|text| text.as_bytes().to_vec()).into()
}

/// A message is of the topic on whose channel it came, whoever said it.
pub(crate) fn heard(bytes: &[u8]) -> Verdict {
    let text = String::from_utf8_lossy(bytes);
    let (channel, payload) = text.split_once('\n').unwrap_or((&*text, ""));
    let read = volery_redis::read(channel, payload);
    if let Some((topic, news)) = read {
        assert_eq!(volery_redis::read(&volery_redis::channel(topic), payload), read);
        let same = match (topic, news) {
            (Topic::Presence(of), News::Presence { user, .. }) => of == user,
            (Topic::Typing(_), News::Typing { .. }) => true,
            _ => false,
        };
        assert!(same, "{news:?} on {topic:?}");
    }
    Verdict::of(read)
}

pub(crate) fn messages() -> Vec<Vec<u8>> {
    let texts = [
        "volery:typing:7\n9223372036854775807 1",
        "volery:presence:42\nonline",
        "volery:presence:42\n1800000000000",
        "volery:presence:9223372036854775807\nunknown",
    ];
    texts.map(|text| text.as_bytes().to_vec()).into()
}

/// Addresses are believed up to the first that is none.
pub(crate) fn forwarded(bytes: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(bytes) else { return Verdict::Refused };
    let peer = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    let client = outside::forwarded(peer, text);
    let stands_there = text.split([',', '\n']).filter_map(|hop| hop.trim().parse::<IpAddr>().ok());
    assert!(client == peer || stands_there.map(|hop| hop.to_canonical()).any(|hop| hop == client), "made up: {client}");
    Verdict::of((client != peer).then_some(()))
}

pub(crate) fn forwardeds() -> Vec<Vec<u8>> {
    ["198.51.100.7", "1.1.1.1, 198.51.100.7\n10.0.0.1", "2001:db8::1, ::ffff:192.0.2.1"].map(Into::into).into()
}

/// A time that was read is one that can be written, as milliseconds.
pub(crate) fn time(bytes: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(bytes) else { return Verdict::Refused };
    let read = outside::time(text);
    if let Some(Timestamp(millis)) = read {
        assert_eq!(outside::time(&millis.to_string()), read);
        let is_date = text.contains('-');
        assert!(!is_date || millis < 253_402_300_800_000 + 86_400_000, "after the year 9999");
    }
    Verdict::of(read)
}

pub(crate) fn times() -> Vec<Vec<u8>> {
    ["1795253400123", "2026-11-21T09:30:00.123Z", "1996-12-19T16:39:57-08:00", "9999-12-31t23:59:60+23:59"]
        .map(Into::into)
        .into()
}

/// Lines are counted; none is lost, none is both written and failed, and reasons are short.
pub(crate) fn import(bytes: &[u8]) -> Verdict {
    let (store, ids) = (Model::default(), CountedIds::default());
    let mut failed = 0;
    let mut report = |progress: Progress<'_>| {
        if let Progress::Failed { reason, .. } = progress {
            failed += 1;
            assert!(reason.len() <= 16_384, "a reason of {} bytes", reason.len());
        }
    };
    let imported = block_on(import_users(&store, &ids, Timestamp(1), bytes, &mut report));
    let Ok(imported) = imported else { unreachable!("a store that is never away: {imported:?}") };
    let lines = bytes.split_inclusive(|&byte| byte == b'\n').count() as u64;
    assert_eq!((imported.lines, imported.failed), (lines, failed));
    assert!(imported.written + imported.failed <= lines);
    Verdict::of((imported.written > 0).then_some(()))
}

pub(crate) fn imports() -> Vec<Vec<u8>> {
    let hash = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$Zm9ydHktdHdvZm9ydHktdHdvZm9ydHktdHdvZm9ydA";
    let line = |name: &str, more: &str| format!("{{\"user_name\":\"{name}\",\"password_hash\":\"{hash}\"{more}}}\n");
    let two = line("ada", ",\"display_name\":\"Ada\",\"id\":\"77\"") + "\n" + &line("ben", "");
    vec![two.into_bytes(), line("eve", ",\"id\":\"9223372036854775807\"").into_bytes()]
}

struct Nowhere;

#[async_trait]
impl EventSink for Nowhere {
    async fn append(&self, _: Event) -> Result<(), NotAppended> {
        Ok(())
    }
}

struct Known {
    node: Arc<AccountNode>,
    token: String,
}

thread_local! {
    static KNOWN: Option<Known> = block_on(known());
}

/// A node with a user who is logged in. Keys and tokens are the same in each run.
async fn known() -> Option<Known> {
    let hash_cost = HashCost { memory_kib: 8, passes: 1, lanes: 1 };
    let options = AccountOptions { hash_cost, ..AccountOptions::default() };
    let parts = AccountParts {
        store: Arc::new(Model::default()),
        sink: Arc::new(Nowhere),
        ids: Arc::new(CountedIds::default()),
        clock: Arc::new(ManualClock::default()),
        rng: Box::new(StdRng::seed_from_u64(1)),
    };
    let node = AccountNode::start(options, parts).await.ok()?;
    let (user_name, password) = ("ada".to_owned(), "correct horse".to_owned());
    let (display_name, device_name) = (String::new(), String::new());
    node.register(Registration { user_name: user_name.clone(), display_name, password: password.clone() })
        .await
        .ok()?;
    let token = node.log_in(LogIn { user_name, password, device_name }).await.ok()?.access_token;
    Some(Known { node, token })
}

/// No token but the one that was given out is worth anything.
pub(crate) fn token(bytes: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(bytes) else { return Verdict::Refused };
    KNOWN.with(|known| {
        let Some(known) = known else { unreachable!("a node on a model starts") };
        let claims = block_on(known.node.authenticate(text, Timestamp(0)));
        assert_eq!(claims.is_ok(), text == known.token, "a forged token: {claims:?}");
        Verdict::of(claims.ok())
    })
}

pub(crate) fn tokens() -> Vec<Vec<u8>> {
    KNOWN.with(|known| known.iter().map(|known| known.token.clone().into_bytes()).collect())
}

/// A file, an environment and flags: lines that begin with `env ` or `flag ` are those, others the file.
/// What is taken can be said again, key by key, and is the same.
pub(crate) fn configuration(bytes: &[u8]) -> Verdict {
    let text = String::from_utf8_lossy(bytes);
    let mut sources = Sources { file: None, ..Sources::default() };
    let mut file = String::new();
    for line in text.lines() {
        let said = |prefix| line.strip_prefix(prefix).and_then(|said: &str| said.split_once('='));
        match (said("env "), said("flag ")) {
            (Some((name, value)), _) => sources.env.push((name.to_owned(), value.to_owned())),
            (_, Some((name, value))) => sources.flags.push((name.to_owned(), value.to_owned())),
            _ => file = file + line + "\n",
        }
    }
    let lines = file.lines().count();
    sources.file = Some((PathBuf::from("volery.toml"), file));
    match load(&sources) {
        Ok(loaded) => said_again(&loaded),
        Err(mistakes) => judged(&mistakes, lines),
    }
}

fn said_again(loaded: &Loaded) -> Verdict {
    let flags = loaded.effective().map(|(key, text, _)| (key.name.to_owned(), text.to_owned()));
    let again = load(&Sources { flags: flags.collect(), ..Sources::default() });
    assert_eq!(again.as_ref().map(|again| &again.config), Ok(&loaded.config));
    Verdict::of((!loaded.said.is_empty()).then_some(()))
}

/// Somebody made a mistake, on a line that there is.
fn judged(mistakes: &Mistakes, lines: usize) -> Verdict {
    assert!(!mistakes.0.is_empty());
    let on_a_line = |origin: &Origin| match origin {
        Origin::File { line, .. } => (1..=lines + 1).contains(line),
        _ => true,
    };
    assert!(mistakes.0.iter().all(|mistake| on_a_line(&mistake.origin)), "{mistakes}");
    Verdict::Refused
}

pub(crate) fn configurations() -> Vec<Vec<u8>> {
    let values = |key: &&volery_node::config::Key| !key.default.is_empty();
    let file: String =
        keys().iter().filter(values).map(|key| format!("{} = \"{}\"\n", key.name, key.default)).collect();
    let env = keys().iter().filter(values).map(|key| format!("env {}={}\n", key.env(), key.default));
    let flags = keys().iter().filter(values).map(|key| format!("flag {}={}\n", key.flag(), key.default));
    let sections = "[log]\npartitions = 4\nsegment_bytes = \"1MiB\"\n[telemetry]\nfilter = \"info,a=debug\"\n";
    vec![file.into_bytes(), env.chain(flags).collect::<String>().into_bytes(), sections.into()]
}

pub(crate) const CONFIGURATION: &[&[u8]] = &[
    b"\n",
    b" = ",
    b"=",
    b"\"",
    b"[",
    b"]",
    b"[[",
    b".",
    b"{",
    b"}",
    b"'''",
    b"\"\"\"",
    b"#",
    b"true",
    b"1979-05-27T07:32:00Z",
    b"inf",
    b"0x7f",
    b"log.partitions = 4\n",
    b"[log]\n",
    b"env VOLERY_LOG_PARTITIONS=",
    b"env VOLERY_",
    b"flag log-partitions=",
    b"flag telemetry.filter=",
    b"GiB",
    b"[::]:8400",
    b"a[b{c=d}]=debug",
    b"\\w",
    b".*",
];

pub(crate) const HTTP: &[&[u8]] = &[
    b"limit=",
    b"cursor=",
    b"before=",
    b"around_time=",
    b"&",
    b"=",
    b"%",
    b"%2B",
    b"+",
    b"2026-11-21T",
    b"09:30:00",
    b"Z",
    b".",
    b",",
    b"::ffff:",
    b"10.0.0.1",
    b"\n",
];
