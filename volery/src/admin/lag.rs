//! How far readers are behind, in every process: asks where they answer probes, twice, and shows what was
//! measured in between.
//!
//! Trap avoided: a process that does not answer is a line, not an end: it is the others that one wants to see then.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Client;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use volery_node::config::Config;
use volery_tls::Trust;

use super::page::{self, Lag};
use super::show::{Answer, table};
use crate::Failure;

/// A process that stands still is not waited for longer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);

/// What a process says of itself at `/healthz`.
#[derive(Deserialize)]
struct Health {
    ready: bool,
    parts: BTreeMap<String, Part>,
}

#[derive(Deserialize)]
struct Part {
    state: String,
    reason: Option<String>,
}

/// A process as it was found.
struct Found {
    health: Health,
    lags: Vec<Lag>,
}

/// What was measured in `window`, by process.
pub(super) async fn lag(config: &Config, window: Duration) -> Result<Answer, Failure> {
    let addresses = probes(config);
    let client = client(addresses.iter().any(|address| address.starts_with("https://")))?;
    let mut looks = JoinSet::new();
    for address in addresses {
        let client = client.clone();
        looks.spawn(async move {
            let found = look(&client, &address, window).await;
            (address, found)
        });
    }
    let mut all = looks.join_all().await;
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(shown(&all))
}

/// One that believes the machine's authorities, which a machine may lack as long as nobody is to be believed.
fn client(secured: bool) -> Result<Client, Failure> {
    let trust = if secured { Trust::machine().config()? } else { Trust::nobody()? };
    Ok(Client::builder().tls_backend_preconfigured((*trust).clone()).timeout(ANSWERS_WITHIN).build()?)
}

fn probes(config: &Config) -> Vec<String> {
    let named = config.admin_probes.as_ref().map(|nodes| nodes.0.clone());
    let scheme = if config.doors_tls_cert.is_some() { "https" } else { "http" };
    named.unwrap_or_else(|| vec![format!("{scheme}://{}", config.gateway_listen)])
}

async fn look(client: &Client, address: &str, window: Duration) -> Result<Found, String> {
    let before = ask(client, address, "/metrics").await?;
    tokio::time::sleep(window).await;
    let (now, health) = (ask(client, address, "/metrics").await?, ask(client, address, "/healthz").await?);
    let health = serde_json::from_str(&health).map_err(|error| format!("its /healthz is none of ours: {error}"))?;
    Ok(Found { health, lags: page::lags(&before, &now) })
}

async fn ask(client: &Client, address: &str, path: &str) -> Result<String, String> {
    let answer = client.get(format!("{address}{path}")).send().await.map_err(|error| deepest(&error))?;
    answer.text().await.map_err(|error| deepest(&error))
}

/// What went wrong below: the rest repeats the address.
fn deepest(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), deepest)
}

fn shown(all: &[(String, Result<Found, String>)]) -> Answer {
    let heads = ["PROCESS", "READY", "READER", "MEASURED", "MEAN", "P99 BELOW", "WAITS", "STOPPED"];
    let rows: Vec<_> = all.iter().flat_map(|(address, found)| rows(address, found)).collect();
    let mut text = table(heads, &rows);
    let ailing = all.iter().filter_map(|(address, found)| Some((address, found.as_ref().ok()?))).flat_map(ailing);
    ailing.for_each(|line| text.push_str(&line));
    let json: Vec<_> = all.iter().map(|(address, found)| as_json(address, found)).collect();
    let silent = all.iter().filter(|(_, found)| found.is_err()).count();
    let missing = (silent > 0).then(|| {
        format!(
            "{silent} of {} did not answer: are they running, and are gateway.listen or admin.probes right?",
            all.len()
        )
    });
    Answer { missing, ..Answer::whole(text, json!({"processes": json})) }
}

fn rows(address: &str, found: &Result<Found, String>) -> Vec<[String; 8]> {
    let dash = || "-".to_owned();
    let line = |ready: &str, reader: &str| {
        let (address, ready, reader) = (address.to_owned(), ready.to_owned(), reader.to_owned());
        [address, ready, reader, dash(), dash(), dash(), dash(), dash()]
    };
    let found = match found {
        Ok(found) => found,
        Err(reason) => return vec![line(&format!("no answer: {reason}"), "-")],
    };
    let ready = if found.health.ready { "yes" } else { "no" };
    if found.lags.is_empty() {
        return vec![line(ready, "-")];
    }
    let of = |lag: &Lag| {
        let [address, ready, reader, ..] = line(ready, lag.reader);
        let seconds = |value: Option<f64>| value.map_or_else(dash, duration);
        let stopped = lag.stopped.map_or_else(dash, |stopped| stopped.to_string());
        [
            address,
            ready,
            reader,
            lag.measured.to_string(),
            seconds(lag.mean),
            seconds(lag.p99),
            seconds(lag.waits),
            stopped,
        ]
    };
    found.lags.iter().map(of).collect()
}

/// What its parts complain of.
fn ailing((address, found): (&String, &Found)) -> Vec<String> {
    let ails = found.health.parts.iter().filter(|(_, part)| part.state != "ready");
    let line = |(name, part): (&String, &Part)| {
        format!("{address}: {name} is {}: {}\n", part.state, part.reason.as_deref().unwrap_or("no reason given"))
    };
    ails.map(line).collect()
}

fn as_json(address: &str, found: &Result<Found, String>) -> Value {
    let found = match found {
        Ok(found) => found,
        Err(reason) => return json!({"address": address, "answers": false, "reason": reason}),
    };
    let reader = |lag: &Lag| {
        let Lag { reader, measured, mean, p99, waits, stopped } = lag;
        let p99 = p99.filter(|p99| p99.is_finite());
        json!({"reader": reader, "measured": measured, "mean_seconds": mean, "p99_below_seconds": p99,
            "waits_seconds": waits, "stopped": stopped})
    };
    let readers: Vec<_> = found.lags.iter().map(reader).collect();
    let part = |(name, part): (&String, &Part)| (name.clone(), json!({"state": part.state, "reason": part.reason}));
    let parts: serde_json::Map<_, _> = found.health.parts.iter().map(part).collect();
    json!({"address": address, "answers": true, "ready": found.health.ready, "parts": parts, "readers": readers})
}

fn duration(seconds: f64) -> String {
    match seconds {
        _ if seconds.is_infinite() => "(more than is measured)".to_owned(),
        _ if seconds >= 1.0 => format!("{seconds:.1} s"),
        _ => format!("{:.1} ms", seconds * 1_000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(ready: bool, lags: Vec<Lag>) -> Result<Found, String> {
        let archive = Part { state: "down".to_owned(), reason: Some("no node".to_owned()) };
        let parts = if ready { BTreeMap::new() } else { BTreeMap::from([("archive".to_owned(), archive)]) };
        Ok(Found { health: Health { ready, parts }, lags })
    }

    #[test]
    fn who_does_not_answer_is_a_line_and_a_failure() {
        let lag =
            |reader, waits| Lag { reader, measured: 4, mean: Some(0.0123), p99: Some(0.0256), waits, stopped: None };
        let all = vec![
            ("http://a:1".to_owned(), found(true, vec![lag("owner", None)])),
            ("http://b:1".to_owned(), Err("refused".to_owned())),
            ("http://c:1".to_owned(), found(false, vec![lag("archive", Some(61.0))])),
            ("http://d:1".to_owned(), found(true, Vec::new())),
        ];
        let answer = shown(&all);
        let cells = |start: &str| {
            let line = answer.text.lines().find(|line| line.starts_with(start)).expect("a line");
            line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect::<Vec<_>>()
        };
        assert_eq!(cells("http://a:1"), ["http://a:1", "yes", "owner", "4", "12.3 ms", "25.6 ms", "-", "-"]);
        assert_eq!(cells("http://b:1")[..2], ["http://b:1", "no answer: refused"]);
        assert_eq!(cells("http://c:1")[1..7], ["no", "archive", "4", "12.3 ms", "25.6 ms", "61.0 s"]);
        assert_eq!(cells("http://d:1")[..3], ["http://d:1", "yes", "-"]);
        assert!(answer.text.ends_with("http://c:1: archive is down: no node\n"), "{}", answer.text);
        assert!(answer.missing.is_some_and(|missing| missing.starts_with("1 of 4 did not answer")));
        assert_eq!(
            answer.json["processes"][1],
            json!({"address": "http://b:1", "answers": false, "reason": "refused"})
        );
    }
}
