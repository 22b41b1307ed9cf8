//! Roles in processes of their own, and the engines below them, that stand still for longer than anybody waits and
//! then go on: each in turn, under a load. A process that stands still closes nothing, so only deadlines tell it
//! from one that works; and one that wakes must do no harm with what it believed before.

use std::time::Duration;

use serde_json::{Value, json};

use super::apart::{Ground, PASSWORD, people};
use super::kit::http;
use super::kit::{now, wait_for};
use super::role::Role;
use super::{RATE, alone, chat_at_while};

/// Longer than calls between roles, appends, statements and leases have.
const STILL_FOR: Duration = Duration::from_secs(8);
/// An answer, be it a refusal, is there within this: the account store's patience is the longest.
const ANSWERED_WITHIN: Duration = Duration::from_secs(12);
/// How many partitions the cluster has.
pub(super) const PARTITIONS: f64 = 16.0;

/// Somebody who asks the gateway while others chat.
struct Visitor {
    gateway: String,
    token: String,
}

impl Visitor {
    fn new(gateway: &str) -> Self {
        let gateway = gateway.trim_start_matches("http://").to_owned();
        let visitor = Self { gateway, token: String::new() };
        let tokens = visitor.logs_in().expect("nothing is broken yet");
        Self { token: tokens["access_token"].as_str().expect("a token").to_owned(), ..visitor }
    }

    /// What comes back, in time; the code of a refusal.
    fn asks(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let (begun, token) = (now(), Some(self.token.as_str()).filter(|token| !token.is_empty()));
        let answer = http::request(&self.gateway, method, path, token, body).map_err(|error| error.to_string())?;
        let took = now() - begun;
        assert!(took < ANSWERED_WITHIN, "{method} {path} was answered after {took:?}: {answer:?}");
        let said = answer.json();
        if answer.status < 300 { Ok(said) } else { Err(said["code"].as_str().unwrap_or("no code").to_owned()) }
    }

    fn logs_in(&self) -> Result<Value, String> {
        let name = people().last().expect("people").user_name;
        let body = json!({"user_name": name, "password": PASSWORD, "device_name": "visitor"});
        Self { gateway: self.gateway.clone(), token: String::new() }.asks("POST", "/v1/login", Some(&body))
    }

    fn reads(&self) -> Result<Value, String> {
        self.asks("GET", "/v1/chats", None)
    }

    /// Everything is as before.
    fn is_served(&self) {
        wait_for("log-ins and chat lists", || (self.logs_in().is_ok() && self.reads().is_ok()).then_some(()));
    }
}

/// Which code log-ins and chat lists end with; empty where they go on.
#[derive(Clone, Copy)]
struct Missing {
    log_ins: &'static str,
    reads: &'static str,
}

const NOTHING: Missing = Missing { log_ins: "", reads: "" };
const ACCOUNTS: Missing = Missing { log_ins: "accounts_unavailable", reads: "" };
const HISTORY: Missing = Missing { log_ins: "", reads: "history_unavailable" };

/// Holds something, looks who says what, and lets it go on.
fn held(what: &str, visitor: &Visitor, missing: Missing, hold: impl FnOnce(), proceed: impl FnOnce()) {
    println!("held: {what}");
    hold();
    let begun = now();
    for (asked, code) in [(visitor.logs_in(), missing.log_ins), (visitor.reads(), missing.reads)] {
        let said = asked.err().unwrap_or_default();
        assert_eq!(said, code, "while {what} stands still");
    }
    println!("  answered after {:?}", now() - begun);
    std::thread::sleep(STILL_FOR.saturating_sub(now() - begun));
    proceed();
    let woken = now();
    visitor.is_served();
    println!("  served again after {:?}", now() - woken);
}

/// A series of a process' metrics.
fn metric(role: &Role, series: &str) -> f64 {
    let probes = role.url("probes").trim_start_matches("http://");
    let page = http::request(probes, "GET", "/metrics", None, None).expect("it answers").body;
    let value = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("{series} is not measured")).parse().expect("a number")
}

/// How many partitions a messaging node or a history node has.
pub(super) fn partitions_of(role: &Role) -> f64 {
    metric(role, if role.has("history") { "volery_reader_partitions{reader=\"archive\"}" } else { "volery_partitions" })
}

/// Waits until they share all that there is.
pub(super) fn is_back(left: &Role, right: &Role) {
    wait_for("it is back", || {
        let (left, right) = (partitions_of(left), partitions_of(right));
        (left > 0.0 && left + right == PARTITIONS).then_some(())
    });
}

/// One of two loses its lease while it stands still: the other one has everything, until it is back.
fn a_messaging_node_is_held(left: &Role, right: &Role, visitor: &Visitor) {
    held(
        "one of two messaging",
        visitor,
        NOTHING,
        || left.pause(),
        || {
            wait_for("the other has everything", || (partitions_of(right) == PARTITIONS).then_some(()));
            left.proceed();
        },
    );
    is_back(left, right);
    wait_for("it has its lease", || (metric(left, "volery_lease_held{kind=\"messaging\"}") == 1.0).then_some(()));
}

/// Nobody is answered until it goes on.
fn the_gateway_is_held(gateway: &Role, visitor: &Visitor) {
    gateway.pause();
    std::thread::sleep(STILL_FOR);
    gateway.proceed();
    visitor.is_served();
}

#[test]
fn promises_hold_while_roles_and_engines_stand_still_one_after_the_other() {
    let _alone = alone();
    let Some(ground) = Ground::new("promises_hold_while_roles_and_engines_stand_still_one_after_the_other") else {
        return;
    };
    let idgen = Role::start(&["idgen"], &ground.settings);
    let numbers = format!("idgen.nodes={}", idgen.url("idgen"));
    let account = Role::start(&["account"], &ground.with(std::slice::from_ref(&numbers)));
    let configs = [(); 2].map(|()| Role::start(&["config"], &ground.settings));
    let maps = format!("config.nodes={},{}", configs[0].url("config"), configs[1].url("config"));
    let history = Role::start(&["history"], &ground.with(std::slice::from_ref(&maps)));
    let asked = [
        numbers,
        format!("accounts.nodes={}", account.url("account")),
        format!("history.nodes={}", history.url("history")),
        maps,
    ];
    let named = |name: &str| ground.with(&[asked.as_slice(), &[format!("messaging.name={name}")]].concat());
    let [left, right] = ["left", "right"].map(|name| Role::start(&["messaging"], &named(name)));
    let gateway = Role::start(&["gateway"], &ground.with(&asked));
    let (url, users) = (gateway.url("gateway").to_owned(), ground.users());
    let visitor = Visitor::new(&url);
    let kept = chat_at_while(&url, &users, RATE, || {
        held("history", &visitor, HISTORY, || history.pause(), || history.proceed());
        held("account", &visitor, ACCOUNTS, || account.pause(), || account.proceed());
        let both = [&idgen, &configs[0]];
        let (hold, proceed) =
            (|| both.iter().for_each(|role| role.pause()), || both.iter().for_each(|role| role.proceed()));
        held("idgen and one of two config", &visitor, NOTHING, hold, proceed);
        a_messaging_node_is_held(&left, &right, &visitor);
        the_gateway_is_held(&gateway, &visitor);
        held("Kafka", &visitor, NOTHING, || ground.kafka.pause(), || ground.kafka.proceed());
        held("Cassandra", &visitor, HISTORY, || ground.cassandra.pause(), || ground.cassandra.proceed());
        held("PostgreSQL", &visitor, ACCOUNTS, || ground.postgres.pause(), || ground.postgres.proceed());
    });
    assert!(kept);
}
