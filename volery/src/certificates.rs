//! Certificates as configured: those that roles show each other, and the one that clients are shown. The files
//! are checked at the start, all of them; the doors' are looked at again every few seconds, and health says how
//! it stands with them.

use std::time::Duration;

use volery_kernel::time::Timestamp;
use volery_node::config::Config;
use volery_node::health::{Part, State};
use volery_node::metrics::Metrics;
use volery_rpc::{Tls, TlsFiles};
use volery_tls::{DoorFiles, DoorTls, Look, TlsErrors};

use crate::Failure;
use crate::common::Common;

/// How soon a new certificate is shown.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long before its end a certificate is worth a word.
const ENDS_SOON_MS: u64 = 14 * 24 * 3_600 * 1_000;

/// What there is of them.
#[derive(Clone)]
pub(crate) struct Certificates {
    /// Between roles.
    pub(crate) roles: Option<Tls>,
    /// Towards clients.
    pub(crate) doors: Option<DoorTls>,
}

impl Certificates {
    /// Reads the files that are named.
    ///
    /// # Errors
    /// All mistakes at once.
    pub(crate) fn open(config: &Config) -> Result<Self, Failure> {
        match (roles(config).transpose(), doors(config).transpose()) {
            (Ok(roles), Ok(doors)) => Ok(Self { roles, doors }),
            (roles, doors) => {
                let of_roles = roles.err().map(|error| ("rpc.tls_*", error));
                let of_doors = doors.err().map(|error| ("doors.tls_*", error));
                Err(listed(of_roles.into_iter().chain(of_doors)))
            }
        }
    }

    /// Looks after the doors' certificate for as long as the process runs, if there is one.
    pub(crate) fn watch(&self, common: &Common<'_>) {
        let Some(doors) = self.doors.clone() else { return };
        let (part, metrics) = (common.health.part("certificate"), common.metrics.clone());
        let clock = std::sync::Arc::clone(&common.clock);
        tokio::spawn(async move {
            let mut standing = Standing::default();
            loop {
                standing.judge(&doors, clock.now(), &part, &metrics);
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
    }
}

/// What roles show each other, for who asks them without being one.
pub(crate) fn between_roles(config: &Config) -> Result<Option<Tls>, Failure> {
    roles(config).transpose().map_err(|error| listed([("rpc.tls_*", error)].into_iter()))
}

fn roles(config: &Config) -> Option<Result<Tls, TlsErrors>> {
    let Config { rpc_tls_ca: Some(ca), rpc_tls_cert: Some(cert), rpc_tls_key: Some(key), .. } = config else {
        return None;
    };
    let files = TlsFiles { ca: ca.clone(), cert: cert.clone(), key: key.clone() };
    Some(Tls::open(files).map_err(|error| TlsErrors(vec![error])))
}

fn doors(config: &Config) -> Option<Result<DoorTls, TlsErrors>> {
    let Config { doors_tls_cert: Some(cert), doors_tls_key: Some(key), .. } = config else { return None };
    Some(DoorTls::open(DoorFiles { cert: cert.clone(), key: key.clone() }))
}

fn listed(mistakes: impl Iterator<Item = (&'static str, TlsErrors)>) -> Failure {
    let lines =
        mistakes.flat_map(|(keys, TlsErrors(all))| all.into_iter().map(move |error| format!("{keys}: {error}")));
    Failure(format!("the certificates are of no use:\n  {}", lines.collect::<Vec<_>>().join("\n  ")))
}

/// How it stands with the doors' certificate, as it was said last.
#[derive(Default)]
struct Standing {
    /// Why the newest files are not shown.
    refused: Option<String>,
    said: Option<State>,
}

impl Standing {
    fn judge(&mut self, doors: &DoorTls, now: Timestamp, part: &Part, metrics: &Metrics) {
        match doors.look() {
            Look::Same => {}
            Look::Taken => {
                self.refused = None;
                tracing::info!("a new certificate is shown at the doors");
            }
            Look::Refused(error) => self.refused = Some(error.to_string()),
        }
        let state = state(self.refused.as_deref(), doors.ends(), now);
        metrics.certificate_ends.set(doors.ends().map_or(0, |at| i64::try_from(at.0 / 1_000).unwrap_or(i64::MAX)));
        if self.said.as_ref() != Some(&state) {
            if let State::Degraded(reason) = &state {
                tracing::warn!(reason, "the certificate of the doors");
            }
            part.set(state.clone());
            self.said = Some(state);
        }
    }
}

/// Doors go on with any certificate: whether it is good is the clients' to say.
fn state(refused: Option<&str>, ends: Option<Timestamp>, now: Timestamp) -> State {
    let ended = ends.is_some_and(|at| at < now).then(|| "it has ended: clients refuse it".to_owned());
    let soon = || ends.filter(|at| at.since(now) < ENDS_SOON_MS);
    let ending = || soon().map(|at| format!("it ends in {} hours", at.since(now) / 3_600_000));
    let kept = refused.map(|why| format!("new files are not taken, the old ones go on: {why}"));
    match kept.into_iter().chain(ended.or_else(ending)).collect::<Vec<_>>() {
        said if said.is_empty() => State::Ready,
        said => State::Degraded(said.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_says_what_an_operator_must_do() {
        let now = Timestamp(1_000_000_000_000);
        let said = |refused, ends: Option<u64>| match state(refused, ends.map(|after| now.plus(after)), now) {
            State::Ready => String::new(),
            State::Degraded(reason) => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(said(None, Some(ENDS_SOON_MS)), "");
        assert_eq!(said(None, None), "", "nobody knows");
        assert_eq!(said(None, Some(ENDS_SOON_MS - 1)), "it ends in 335 hours");
        assert!(said(Some("a key of another"), Some(ENDS_SOON_MS)).ends_with("go on: a key of another"));
        assert!(said(Some("a key of another"), Some(0)).ends_with("; it ends in 0 hours"), "both");
        assert_eq!(state(None, Some(Timestamp(1)), now), State::Degraded("it has ended: clients refuse it".to_owned()));
    }
}
