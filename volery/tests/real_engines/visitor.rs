//! Somebody who logs in and reads their chats while others chat: whether they can, and with which code not.

use std::time::Duration;

use serde_json::{Value, json};

use super::ground::{PASSWORD, people};
use super::kit::{http, now, wait_for};

/// An answer, be it a refusal, is there within this: calls that change accounts wait longest, for ten seconds.
const ANSWERED_WITHIN: Duration = Duration::from_secs(20);

pub(super) const ACCOUNTS: &str = "accounts_unavailable";
pub(super) const HISTORY: &str = "history_unavailable";

/// See the module.
pub(super) struct Visitor {
    gateway: String,
    token: Option<String>,
}

impl Visitor {
    pub(super) fn new(gateway: &str) -> Self {
        let gateway = gateway.trim_start_matches("http://").to_owned();
        let stranger = Self { gateway, token: None };
        let tokens = wait_for("the first log-in", || stranger.logs_in().ok());
        Self { token: tokens["access_token"].as_str().map(str::to_owned), ..stranger }
    }

    /// What comes back, in time; the code of a refusal, or that there was no answer.
    fn asks(&self, method: &str, path: &str, token: Option<&str>, body: Option<&Value>) -> Result<Value, String> {
        let begun = now();
        let answer = http::request(&self.gateway, method, path, token, body).map_err(|error| error.to_string())?;
        let took = now() - begun;
        assert!(took < ANSWERED_WITHIN, "{method} {path} was answered after {took:?}: {answer:?}");
        let said = answer.json();
        if answer.status < 300 { Ok(said) } else { Err(said["code"].as_str().unwrap_or("no code").to_owned()) }
    }

    pub(super) fn logs_in(&self) -> Result<Value, String> {
        let name = people().last().expect("people").user_name;
        let body = json!({"user_name": name, "password": PASSWORD, "device_name": "visitor"});
        self.asks("POST", "/v1/login", None, Some(&body))
    }

    pub(super) fn reads(&self) -> Result<Value, String> {
        self.asks("GET", "/v1/chats", self.token.as_deref(), None)
    }

    /// Log-ins and chat lists end with this and no other code. Empty: they go on, once connections that were left
    /// hanging are given up.
    pub(super) fn finds(&self, log_ins: &str, reads: &str) {
        ends_with("log-ins", log_ins, || self.logs_in());
        ends_with("chat lists", reads, || self.reads());
    }

    /// Everything is as it was, or will be.
    pub(super) fn is_served(&self) {
        self.finds("", "");
    }
}

fn ends_with(what: &str, code: &str, ask: impl Fn() -> Result<Value, String>) {
    if code.is_empty() {
        wait_for(what, || ask().ok());
    } else {
        assert_eq!(ask(), Err(code.to_owned()), "{what}");
    }
}
