//! What processes say while a role that they ask is away: who notices, in which part of health, in which metric; and
//! that it is over once the role is back. Whether promises hold meanwhile is seen in [`super::apart`].

use serde_json::{Value, json};

use super::alone;
use super::apart::{Ground, PASSWORD, people};
use super::kit::{http, wait_for};
use super::role::Role;

/// Where a process says how it is.
struct Probes(String);

impl Probes {
    fn of(role: &Role, name: &str) -> Self {
        Self(role.url(name).trim_start_matches("http://").to_owned())
    }

    fn get(&self, path: &str) -> http::Answer {
        http::request(&self.0, "GET", path, None, None).expect("it answers")
    }

    /// Waits until a part is as wanted; nobody is sent elsewhere for it.
    fn until(&self, part: &str, wanted: &str) {
        wait_for(&format!("{part} is {wanted}"), || {
            let answer = self.get("/healthz");
            assert_eq!(answer.status, 200, "it goes on: {}", answer.body);
            (answer.json()["parts"][part]["state"] == wanted).then_some(())
        });
    }

    fn metric(&self, series: &str) -> f64 {
        let page = self.get("/metrics").body;
        let value = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("{series} is not measured")).parse().expect("a number")
    }

    /// How many calls of a role nobody answered.
    fn unanswered(&self, role: &str) -> f64 {
        let of = |outcome| self.metric(&format!("volery_role_calls_total{{outcome=\"{outcome}\",role=\"{role}\"}}"));
        ["not_sent", "lost", "late"].map(of).iter().sum()
    }
}

/// Asks the gateway; the code of a refusal.
fn asks(gateway: &Probes, method: &str, path: &str, token: Option<&str>, body: Option<&Value>) -> Result<Value, Value> {
    let answer = http::request(&gateway.0, method, path, token, body).expect("an answer");
    if answer.status < 300 { Ok(answer.json()) } else { Err(answer.json()["code"].clone()) }
}

fn logs_in(gateway: &Probes) -> Result<Value, Value> {
    let name = people().next().expect("people").user_name;
    let body = json!({"user_name": name, "password": PASSWORD, "device_name": "visitor"});
    asks(gateway, "POST", "/v1/login", None, Some(&body))
}

/// Kills a role; `notice` makes somebody ask for it, and `over` does once it is back.
fn is_said(role: &mut Role, who: &[&Probes], part: &str, asked: &str, notice: impl Fn(), over: impl Fn()) {
    role.kill();
    notice();
    for probes in who {
        probes.until(part, "degraded");
        assert!(probes.unanswered(asked) > 0.0, "calls that nobody answered are counted");
    }
    role.restart();
    over();
    for probes in who {
        probes.until(part, "ready");
    }
}

#[test]
fn who_asks_a_role_that_is_away_says_so_until_it_is_back() {
    let _alone = alone();
    let Some(ground) = Ground::new("who_asks_a_role_that_is_away_says_so_until_it_is_back") else { return };
    let mut config = Role::start(&["config"], &ground.settings);
    let idgen = Role::start(&["idgen"], &ground.settings);
    let asked = [format!("config.nodes={}", config.url("config")), format!("idgen.nodes={}", idgen.url("idgen"))];
    let mut history = Role::start(&["history"], &ground.with(&asked));
    let mut account = Role::start(&["account"], &ground.with(&asked));
    let rest =
        [format!("accounts.nodes={}", account.url("account")), format!("history.nodes={}", history.url("history"))];
    let settings = ground.with(&[asked, rest].concat());
    let (node, edge) = (Role::start(&["messaging"], &settings), Role::start(&["gateway"], &settings));
    let (messaging, gateway) = (Probes::of(&node, "probes"), Probes::of(&edge, "gateway"));
    let token = logs_in(&gateway).expect("nothing is broken yet")["access_token"].as_str().expect("a token").to_owned();
    let reads = || asks(&gateway, "GET", "/v1/chats", Some(&token), None);
    wait_for("chat lists", || reads().ok());

    let lease = || messaging.metric("volery_lease_held{kind=\"messaging\"}");
    wait_for("a lease", || (lease() == 1.0).then_some(()));
    let loses = || {
        messaging.until("lease", "degraded");
        assert_eq!(lease(), 0.0);
    };
    let held = || wait_for("a lease again", || (lease() == 1.0).then_some(()));
    is_said(&mut config, &[&messaging, &gateway], "config_nodes", "config", loses, held);

    let refused = |asked: Result<Value, Value>, code: &str| assert_eq!(asked, Err(json!(code)));
    let log_ins = || wait_for("log-ins", || logs_in(&gateway).ok().map(drop));
    let no_log_in = || refused(logs_in(&gateway), "accounts_unavailable");
    is_said(&mut account, &[&gateway], "accounts_nodes", "account", no_log_in, log_ins);

    let pages = || wait_for("chat lists", || reads().ok().map(drop));
    let no_pages = || refused(reads(), "history_unavailable");
    is_said(&mut history, &[&gateway], "history_nodes", "history", no_pages, pages);
    assert_eq!(gateway.unanswered("idgen"), 0.0, "it asks nobody for numbers");
}
