//! A call from its first attempt to its last.
//!
//! Endpoints take turns; one that failed is left out until it has rested, unless all others failed
//! too, so a role with one endpoint is always tried. A call ends with an answer, with a refusal, at
//! its deadline, or when it may not be made again: see [`Remote::call`].
//!
//! Trap avoided: a balancer that knows nothing of failures keeps sending half of the calls, retries
//! too, to the dead one of two endpoints, because nobody refuses as quickly as the dead.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rand::RngExt as _;
use tokio::time::{Instant, sleep_until, timeout_at};
use tonic::transport::{Channel, Endpoint as Address};
use tonic::{Request, Response, Status};

use super::Call;
use super::budget::Budget;
use super::endpoint::Endpoint;
use super::outcome::Failed;
use super::watched::Watched;
use crate::limits::{
    ALIVE_EVERY, ALIVE_WITHIN, ATTEMPTS_MOST, CONNECTION_WINDOW_BYTES, RETRY_WITHIN, STREAM_WINDOW_BYTES,
};
use crate::tls::{Dialer, Tls};

/// How long callers wait. Attempts and pauses between them share the time.
#[derive(Clone, Copy, Debug)]
pub struct CallOptions {
    /// For look-ups. The caller is told `Unavailable` when it is over.
    pub deadline: Duration,
    /// For calls that hash a password or wait for the log: longer than the role itself waits.
    pub slow_deadline: Duration,
    /// For a connection. Shorter than a deadline, so that another endpoint gets its chance.
    pub connect_within: Duration,
}

impl Default for CallOptions {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(2),
            slow_deadline: Duration::from_secs(10),
            connect_within: Duration::from_millis(500),
        }
    }
}

/// A list of endpoints that names none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEndpoint {
    /// The list is empty.
    #[error("no endpoint is named")]
    None,
    /// It is no URL of a host and a port, or of another scheme.
    #[error("{url:?} is no endpoint: write {scheme}://host:port")]
    NotAUrl {
        /// As given.
        url: String,
        /// `https` with TLS, `http` without.
        scheme: &'static str,
    },
}

/// A role on other machines. Clones share connections, rests and the budget of retries.
#[derive(Clone)]
pub struct Remote {
    shared: Arc<Shared>,
    watched: Option<Arc<Watched>>,
}

struct Shared {
    options: CallOptions,
    endpoints: Vec<Endpoint>,
    turn: AtomicUsize,
    budget: Budget,
}

impl Remote {
    /// The role behind any of these endpoints, `http://host:port` each. Connects when it is first
    /// asked, so nobody has to be up. Call it inside a tokio runtime: connections live on that.
    ///
    /// # Errors
    /// [`BadEndpoint`].
    pub fn new<E: AsRef<str>>(endpoints: &[E], options: CallOptions) -> Result<Self, BadEndpoint> {
        Self::of(endpoints, "http", options, Address::connect_lazy)
    }

    /// The same by mutual TLS, `https://host:port` each.
    ///
    /// # Errors
    /// [`BadEndpoint`].
    pub fn secured<E: AsRef<str>>(endpoints: &[E], options: CallOptions, tls: &Tls) -> Result<Self, BadEndpoint> {
        Self::of(endpoints, "https", options, |address| address.connect_with_connector_lazy(Dialer(tls.clone())))
    }

    fn of<E: AsRef<str>>(
        endpoints: &[E],
        scheme: &'static str,
        options: CallOptions,
        connect: impl Fn(&Address) -> Channel,
    ) -> Result<Self, BadEndpoint> {
        if endpoints.is_empty() {
            return Err(BadEndpoint::None);
        }
        let endpoints =
            endpoints.iter().map(|url| Ok(Endpoint::new(connect(&address(url.as_ref(), scheme, options)?))));
        let endpoints = endpoints.collect::<Result<_, _>>()?;
        let shared = Shared { options, endpoints, turn: AtomicUsize::new(0), budget: Budget::default() };
        Ok(Self { shared: Arc::new(shared), watched: None })
    }

    /// The same, with what becomes of calls told.
    #[must_use]
    pub fn watched(self, watched: Watched) -> Self {
        Self { watched: Some(Arc::new(watched)), ..self }
    }

    /// Makes a call. It is made again
    /// - at once, if an endpoint cannot be connected to and there is another that was not tried;
    /// - after a pause, if the connection broke or nobody could be connected to, the call may be
    ///   repeated, and the budget has a retry left.
    ///
    /// What a role refuses stands: asking again would only add to its load.
    pub(crate) async fn call<Q, A, F, R>(&self, call: Call, request: Q, send: F) -> Result<A, Status>
    where
        Q: Clone,
        F: Fn(Channel, Request<Q>) -> R,
        R: Future<Output = Result<Response<A>, Status>>,
    {
        let begun = Instant::now();
        let result = self.shared.attempts(call, begun, request, send).await;
        if let Some(watched) = &self.watched {
            watched.ended(call, begun.elapsed(), &result);
        }
        result.map_err(Failed::into_status)
    }
}

enum Again {
    No,
    AtOnce,
    At(Instant),
}

impl Shared {
    async fn attempts<Q, A, F, R>(&self, call: Call, begun: Instant, request: Q, send: F) -> Result<A, Failed>
    where
        Q: Clone,
        F: Fn(Channel, Request<Q>) -> R,
        R: Future<Output = Result<Response<A>, Status>>,
    {
        let usual = if call.slow { self.options.slow_deadline } else { self.options.deadline };
        let deadline = begun + usual + call.patience;
        let mut tried = Vec::new();
        self.budget.earn();
        loop {
            let turn = self.pick(&tried);
            tried.push(turn);
            let endpoint = &self.endpoints[turn];
            let failed = match endpoint.attempt(deadline, request.clone(), &send).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            match self.again(call, &failed, &tried) {
                Again::No => return Err(failed),
                Again::AtOnce => {}
                Again::At(pause) if pause >= deadline => return Err(failed),
                Again::At(pause) => sleep_until(pause).await,
            }
        }
    }

    /// The next in turn that was not tried and does not rest; failing that, whose rest ends first.
    fn pick(&self, tried: &[usize]) -> usize {
        let (now, count) = (Instant::now(), self.endpoints.len());
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let in_turn = (0..count).map(|step| first.wrapping_add(step) % count);
        let best = in_turn.min_by_key(|turn| (tried.contains(turn), self.endpoints[*turn].rests_until(now)));
        let best = best.unwrap_or_default();
        self.endpoints[best].taken(now);
        best
    }

    fn again(&self, call: Call, failed: &Failed, tried: &[usize]) -> Again {
        match failed {
            Failed::NotSent(_) if tried.len() < self.endpoints.len() => Again::AtOnce,
            Failed::NotSent(_) | Failed::Lost(_) if call.may_repeat && tried.len() < ATTEMPTS_MOST => {
                if self.budget.spend() { Again::At(Instant::now() + jitter(tried.len())) } else { Again::No }
            }
            _ => Again::No,
        }
    }
}

impl Endpoint {
    async fn attempt<Q, A, F, R>(&self, deadline: Instant, request: Q, send: F) -> Result<A, Failed>
    where
        F: Fn(Channel, Request<Q>) -> R,
        R: Future<Output = Result<Response<A>, Status>>,
    {
        let mut request = Request::new(request);
        // So that the other side gives up when this one does.
        request.set_timeout(deadline.saturating_duration_since(Instant::now()));
        let late = |_| Status::deadline_exceeded("no answer in time");
        let sent = timeout_at(deadline, send(self.channel.clone(), request)).await.map_err(late);
        let outcome = sent.flatten().map_err(Failed::new);
        match &outcome {
            Ok(_) | Err(Failed::Refused(_)) => self.worked(),
            Err(Failed::NotSent(_) | Failed::Lost(_) | Failed::Late(_)) => self.failed(Instant::now()),
        }
        outcome.map(Response::into_inner)
    }
}

/// Full jitter: anything up to a bound that doubles.
#[expect(clippy::disallowed_methods, reason = "this shell owns the randomness of pauses; it decides nothing else")]
fn jitter(attempts: usize) -> Duration {
    let doubled = u32::try_from(attempts).unwrap_or(u32::MAX).saturating_sub(1).min(16);
    let bound = RETRY_WITHIN.saturating_mul(1 << doubled);
    bound.mul_f64(rand::rng().random_range(0.0..1.0))
}

fn address(url: &str, scheme: &'static str, options: CallOptions) -> Result<Address, BadEndpoint> {
    let not_a_url = || BadEndpoint::NotAUrl { url: url.to_owned(), scheme };
    let address = Address::from_shared(url.to_owned()).map_err(|_| not_a_url())?;
    if address.uri().scheme_str() != Some(scheme) || address.uri().port().is_none() {
        return Err(not_a_url());
    }
    Ok(address
        .connect_timeout(options.connect_within)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(ALIVE_EVERY)
        .keep_alive_timeout(ALIVE_WITHIN)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{CALLS_A_RETRY, RETRIES_BURST};

    fn three() -> Remote {
        let urls = ["http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3"];
        Remote::new(&urls, CallOptions::default()).expect("endpoints")
    }

    #[tokio::test]
    async fn endpoints_take_turns() {
        let remote = three();
        let picks: Vec<_> = (0..6).map(|_| remote.shared.pick(&[])).collect();
        assert_eq!(picks, [0, 1, 2, 0, 1, 2]);
    }

    #[tokio::test]
    async fn one_that_failed_is_left_out_and_none_is_tried_twice_before_the_others() {
        let remote = three();
        let later = Instant::now() + Duration::from_secs(3_600);
        remote.shared.endpoints[1].failed(later);
        let picks: Vec<_> = (0..3).map(|_| remote.shared.pick(&[])).collect();
        assert_eq!(picks, [0, 2, 2]);
        assert_eq!(remote.shared.pick(&[0, 2]), 1, "better than one that has failed this very call");
        remote.shared.endpoints[0].failed(later + RETRY_WITHIN);
        remote.shared.endpoints[2].failed(later + RETRY_WITHIN);
        assert_eq!(remote.shared.pick(&[]), 1, "all failed: whose rest ends first");
    }

    #[tokio::test]
    async fn a_call_is_made_again_as_long_as_the_budget_lasts() {
        let remote = three();
        let lost = || Failed::Lost(Status::unavailable("gone"));
        let again = || matches!(remote.shared.again(Call::READ, &lost(), &[0]), Again::At(_));
        assert_eq!((0..1_000).filter(|_| again()).count() as u32, RETRIES_BURST);
        (0..CALLS_A_RETRY).for_each(|_| remote.shared.budget.earn());
        assert!(again() && !again(), "as many calls earn one more");
        let elsewhere = remote.shared.again(Call::CHANGE, &Failed::NotSent(Status::unavailable("gone")), &[0]);
        assert!(matches!(elsewhere, Again::AtOnce), "another endpoint costs nothing");
    }

    #[test]
    fn pauses_are_random_below_a_bound_that_doubles() {
        let longest = |attempts| (0..1_000).map(|_| jitter(attempts)).max().unwrap_or_default();
        for (attempts, bound) in [(1, RETRY_WITHIN), (2, RETRY_WITHIN * 2), (3, RETRY_WITHIN * 4)] {
            assert!(longest(attempts) < bound && longest(attempts) > bound / 2, "{attempts}");
        }
    }
}
