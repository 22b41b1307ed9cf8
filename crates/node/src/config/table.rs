//! The table of keys, and the struct that is made of it. What several keys say together is checked here.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::value::{
    Bounds, BusEngine, Filter, LogEngine, LogFormat, Millis, Nodes, PublicUrl, Size, TimelineEngine, Value,
};
use super::{Key, Mistake, Origin, Said};

const KIB: u64 = 1 << 10;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

macro_rules! table {
    ($($field:ident: $kind:ty = $name:literal, $default:literal, $bounds:expr, $doc:literal;)*) => {
        /// Every value, checked. Fields are named as keys are, with `_` for the dots.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Config {
            $(#[doc = $doc] pub $field: $kind,)*
        }

        const KEYS: &[Key] = &[
            $(Key { name: $name, kind: <$kind as Value>::KIND, default: $default, bounds: $bounds, doc: $doc },)*
        ];

        impl Config {
            /// Reads every key from what was said of it, or from its default; collects all mistakes.
            pub(super) fn read(said: &BTreeMap<&'static str, Said>) -> Result<Self, Vec<Mistake>> {
                let mut mistakes = Vec::new();
                $(let $field = read_one::<$kind>(said.get($name), $name, $default, &$bounds, &mut mistakes);)*
                let whole = (|| Some(Self { $($field: $field?,)* }))();
                whole.ok_or(mistakes)
            }
        }
    };
}

table! {
    data_dir: PathBuf = "data.dir", "./volery-data", Bounds::Any, "The folder that holds everything durable. One process at a time: a second one is refused.";
    gateway_listen: SocketAddr = "gateway.listen", "127.0.0.1:8400", Bounds::Any, "Where the HTTP edge, health and metrics listen; port 0 takes a free one.";
    messaging_listen: SocketAddr = "messaging.listen", "127.0.0.1:8401", Bounds::Any, "Where the WebSocket door listens; port 0 takes a free one.";
    messaging_public_url: Option<PublicUrl> = "messaging.public_url", "", Bounds::OneOf(&["ws", "wss"]), "How clients reach this node's door, if not at the address it listens on; log-in tells it to them.";
    messaging_probes: SocketAddr = "messaging.probes", "127.0.0.1:8424", Bounds::Any, "Where `volery messaging` answers health and metrics; port 0 takes a free one.";
    messaging_name: Option<String> = "messaging.name", "", Bounds::Any, "What the messaging node here is called: unique among those of its cluster and the same over restarts, so that a restart moves nothing. Empty: `messaging.public_url`, or else `messaging.listen`.";
    messaging_threads: u32 = "messaging.threads", "0", Bounds::Within(0, 1_024), "Threads of sessions and partitions; 0 takes one per core.";
    messaging_sends_per_second: u32 = "messaging.sends_per_second", "50", Bounds::Within(1, 1_000_000), "Sends per second that one session may sustain.";
    messaging_sends_burst: u32 = "messaging.sends_burst", "200", Bounds::Within(1, 1_000_000), "Sends that one session may make at once after a pause.";
    log_engine: LogEngine = "log.engine", "embedded", Bounds::OneOf(&["embedded", "kafka"]), "Where the log is: in the data folder, or on Kafka.";
    log_partitions: u32 = "log.partitions", "16", Bounds::Within(1, 16_384), "Partitions of the log. Fixed when its folder or topic is made: one with another number is refused.";
    log_kafka_brokers: String = "log.kafka_brokers", "127.0.0.1:19092", Bounds::Any, "Kafka's brokers, `host:port` by commas; any of them leads to the others.";
    log_kafka_topic: String = "log.kafka_topic", "volery-inbox", Bounds::Any, "The topic's name, to which the log generation is added; it is made if it is not there.";
    log_kafka_copies: u32 = "log.kafka_copies", "3", Bounds::Within(1, 9), "Copies of each record in a topic that is made; one that is there must have as many. Of two or more, two have it before a send is acknowledged; of one, the broker flushes it.";
    log_segment_bytes: Size = "log.segment_bytes", "64MiB", Bounds::Within(64 * KIB, 4 * GIB), "Size at which a segment file is closed and the next begun; deletion takes whole segments.";
    log_max_bytes: Size = "log.max_bytes", "0", Bounds::Within(0, 1_024 * TIB), "Bytes of the embedded log past which sends are refused with `log_full`; 0 takes 90 % of the file system of the data folder.";
    log_cache_bytes: Size = "log.cache_bytes", "64MiB", Bounds::Within(64 * KIB, TIB), "Memory for the newest records of all partitions, from which readers at the end are served.";
    history_name: Option<String> = "history.name", "", Bounds::Any, "What the history node here is called: unique among those of its cluster and the same over restarts. Empty: `messaging.name`, or else `history.listen`.";
    history_nodes: Option<Nodes> = "history.nodes", "", Bounds::Any, "Where history runs in processes of its own: `http://host:port` by commas, `https://` with `rpc.tls_ca`. Asked by messaging and gateway.";
    history_listen: SocketAddr = "history.listen", "127.0.0.1:8411", Bounds::Any, "Where `volery history` listens for other roles; port 0 takes a free one. Of several roles in one process, the address of history counts before those of account, idgen and config.";
    history_probes: SocketAddr = "history.probes", "127.0.0.1:8421", Bounds::Any, "Where `volery history` answers health and metrics; port 0 takes a free one.";
    timeline_engine: TimelineEngine = "timeline.engine", "embedded", Bounds::OneOf(&["embedded", "cassandra"]), "Where the timeline is: in the data folder, or on Cassandra or ScyllaDB.";
    timeline_cql_nodes: String = "timeline.cql_nodes", "127.0.0.11:19042", Bounds::Any, "Nodes of Cassandra or ScyllaDB, `host:port` by commas; any of them leads to the others.";
    timeline_cql_keyspace: String = "timeline.cql_keyspace", "volery", Bounds::Any, "The keyspace; it is made if it is not there.";
    timeline_cql_copies: u32 = "timeline.cql_copies", "3", Bounds::Within(1, 9), "Copies of each row in a keyspace that is made; most of them answer each read and write.";
    timeline_cache_bytes: Size = "timeline.cache_bytes", "128MiB", Bounds::Within(1_024 * KIB, TIB), "Memory for blocks of the embedded timeline and its indexes.";
    bus_engine: BusEngine = "bus.engine", "embedded", Bounds::OneOf(&["embedded", "redis"]), "What carries typing and presence: the process itself, which reaches its own sessions alone, or Redis, which several messaging nodes share.";
    bus_redis_url: PublicUrl = "bus.redis_url", "redis://127.0.0.1:16379", Bounds::OneOf(&["redis"]), "Redis (6.2 or later), `redis://host:port`; a password stands in REDISCLI_AUTH, not here.";
    accounts_database: Option<PublicUrl> = "accounts.database", "", Bounds::OneOf(&["postgres", "postgresql"]), "The PostgreSQL database of accounts, `postgres://user@host:port/name`; a password stands in PGPASSWORD, not here. Without it: SQLite in the data folder.";
    accounts_nodes: Option<Nodes> = "accounts.nodes", "", Bounds::Any, "Where account runs in processes of its own, written as in `history.nodes`. Asked by messaging and gateway.";
    accounts_listen: SocketAddr = "accounts.listen", "127.0.0.1:8412", Bounds::Any, "Where `volery account` listens for other roles; port 0 takes a free one.";
    accounts_probes: SocketAddr = "accounts.probes", "127.0.0.1:8422", Bounds::Any, "Where `volery account` answers health and metrics; port 0 takes a free one.";
    accounts_logins_per_minute: u32 = "accounts.logins_per_minute", "10", Bounds::Within(1, 1_000_000), "Log-ins tried per user name and minute; more get `too_many_requests`.";
    accounts_logins_per_minute_address: u32 = "accounts.logins_per_minute_address", "60", Bounds::Within(1, 1_000_000), "Log-ins tried per client address and minute; more get `too_many_requests`.";
    accounts_registrations_per_hour_address: u32 = "accounts.registrations_per_hour_address", "20", Bounds::Within(1, 1_000_000), "Registrations tried per client address and hour; more get `too_many_requests`.";
    accounts_refreshes_per_minute_address: u32 = "accounts.refreshes_per_minute_address", "1200", Bounds::Within(1, 1_000_000), "Refreshes tried per client address and minute; more get `too_many_requests`.";
    idgen_nodes: Option<Nodes> = "idgen.nodes", "", Bounds::Any, "Where idgen runs in processes of its own, written as in `history.nodes`. Asked by messaging and account.";
    idgen_listen: SocketAddr = "idgen.listen", "127.0.0.1:8413", Bounds::Any, "Where `volery idgen` listens for other roles; port 0 takes a free one.";
    idgen_probes: SocketAddr = "idgen.probes", "127.0.0.1:8423", Bounds::Any, "Where `volery idgen` answers health and metrics; port 0 takes a free one.";
    config_nodes: Option<Nodes> = "config.nodes", "", Bounds::Any, "Where config runs in processes of its own, written as in `history.nodes`. Asked by messaging, history and gateway.";
    config_listen: SocketAddr = "config.listen", "127.0.0.1:8410", Bounds::Any, "Where `volery config` listens for other roles and for `volery admin`; port 0 takes a free one.";
    config_probes: SocketAddr = "config.probes", "127.0.0.1:8420", Bounds::Any, "Where `volery config` answers health and metrics; port 0 takes a free one.";
    cluster_weight: u32 = "cluster.weight", "1", Bounds::Within(1, 100), "How many partitions this node owns against the others of its kind: one of weight 2 twice as many as one of weight 1. Of messaging and history.";
    rpc_tls_ca: Option<PathBuf> = "rpc.tls_ca", "", Bounds::Any, "Authorities that sign the roles' certificates, as PEM. With it roles ask each other by mutual TLS; the files are read again when they change.";
    rpc_tls_cert: Option<PathBuf> = "rpc.tls_cert", "", Bounds::Any, "This process' certificate and what lies between it and the authority, as PEM; it must be good for servers and for clients.";
    rpc_tls_key: Option<PathBuf> = "rpc.tls_key", "", Bounds::Any, "The certificate's private key, as PEM.";
    doors_tls_cert: Option<PathBuf> = "doors.tls_cert", "", Bounds::Any, "The certificate that clients are shown at both doors, and what lies between it and an authority, as PEM. With it gateway and messaging speak TLS alone; the files are read again when they change.";
    doors_tls_key: Option<PathBuf> = "doors.tls_key", "", Bounds::Any, "The certificate's private key, as PEM.";
    admin_probes: Option<Nodes> = "admin.probes", "", Bounds::Any, "Where every process answers health and metrics, `http://host:port` by commas, for `volery admin lag`. Empty: at `gateway.listen`, as `volery up` does.";
    telemetry_filter: Filter = "telemetry.filter", "info", Bounds::Any, "Which lines are logged, to standard error.";
    telemetry_format: LogFormat = "telemetry.format", "text", Bounds::OneOf(&["text", "json"]), "How a logged line looks: for people, or one JSON object a line.";
    shutdown_deadline_ms: Millis = "shutdown.deadline_ms", "10000", Bounds::Within(0, 600_000), "How long an orderly shutdown may take before what is left is dropped.";
}

/// All keys, in the order of the reference.
#[must_use]
pub fn keys() -> &'static [Key] {
    KEYS
}

fn read_one<T: Value>(
    said: Option<&Said>,
    name: &str,
    default: &str,
    bounds: &Bounds,
    mistakes: &mut Vec<Mistake>,
) -> Option<T> {
    let (text, origin) = said.map_or((default, &Origin::Default), |said| (&said.text, &said.origin));
    T::read(text, bounds)
        .map_err(|error| mistakes.push(Mistake { origin: origin.clone(), text: format!("{name}: {error}") }))
        .ok()
}

/// What is wrong between keys that are each right.
pub(super) fn contradictions(config: &Config, said: &BTreeMap<&'static str, Said>) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let mut refuse = |key: &str, text: String| {
        let origin = said.get(key).map_or(Origin::Default, |said| said.origin.clone());
        mistakes.push(Mistake { origin, text: format!("{key}: {text}") });
    };
    if config.gateway_listen == config.messaging_listen && config.gateway_listen.port() != 0 {
        let text = format!("{} is taken by gateway.listen: give one of them another port", config.messaging_listen);
        refuse("messaging.listen", text);
    }
    if config.messaging_sends_burst < config.messaging_sends_per_second {
        let rate = config.messaging_sends_per_second;
        refuse("messaging.sends_burst", format!("is below messaging.sends_per_second, {rate}: give at least as many"));
    }
    if config.accounts_database.as_ref().is_some_and(|url| has_password(&url.0)) {
        refuse(
            "accounts.database",
            "has a password, which `config show` would show: set PGPASSWORD instead".to_owned(),
        );
    }
    if has_password(&config.bus_redis_url.0) {
        let text = "has a password, which `config show` would show: set REDISCLI_AUTH instead".to_owned();
        refuse("bus.redis_url", text);
    }
    let tls = [&config.rpc_tls_ca, &config.rpc_tls_cert, &config.rpc_tls_key].map(Option::is_some);
    for (key, set) in ["rpc.tls_ca", "rpc.tls_cert", "rpc.tls_key"].into_iter().zip(tls) {
        if !set && tls.contains(&true) {
            refuse(key, "is not set: mutual TLS wants rpc.tls_ca, rpc.tls_cert and rpc.tls_key".to_owned());
        }
    }
    let pair = [("doors.tls_cert", &config.doors_tls_cert), ("doors.tls_key", &config.doors_tls_key)];
    if let [(_, Some(_)), (missing, None)] | [(missing, None), (_, Some(_))] = pair {
        refuse(missing, "is not set: TLS at the doors wants doors.tls_cert and doors.tls_key".to_owned());
    }
    let told = config.messaging_public_url.as_ref().is_some_and(|url| url.0.starts_with("ws://"));
    if told && config.doors_tls_cert.is_some() {
        refuse("messaging.public_url", "the door speaks TLS by doors.tls_cert: write wss://".to_owned());
    }
    let nodes = [
        ("history.nodes", &config.history_nodes),
        ("accounts.nodes", &config.accounts_nodes),
        ("idgen.nodes", &config.idgen_nodes),
        ("config.nodes", &config.config_nodes),
    ];
    for (key, nodes) in nodes {
        if nodes.as_ref().is_some_and(|nodes| nodes.are_encrypted() != tls.contains(&true)) {
            refuse(key, "write https:// with rpc.tls_ca, rpc.tls_cert and rpc.tls_key, http:// without".to_owned());
        }
    }
    if config.admin_probes.as_ref().is_some_and(Nodes::are_encrypted) {
        refuse("admin.probes", "probes are not encrypted: write http://".to_owned());
    }
    let least = u64::from(config.log_partitions).saturating_mul(config.log_segment_bytes.0);
    if config.log_max_bytes.0 != 0 && config.log_max_bytes.0 < least {
        let text = format!("one segment of each partition takes {least} bytes: give at least that, or 0");
        refuse("log.max_bytes", text);
    }
    mistakes
}

/// Whether something stands between a colon and an @ before the host.
fn has_password(url: &str) -> bool {
    let user = url.split_once("://").and_then(|(_, rest)| rest.split('/').next()?.rsplit_once('@'));
    user.is_some_and(|(user, _)| user.contains(':'))
}
