//! What all watched engines share: calls are timed and counted, and health says while an engine is away.
//!
//! Decides nothing: every answer is passed on as it came. Trap avoided: a call that is given up by its caller
//! is no longer under way.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::time::Instant;
use volery_node::health::Part;
use volery_node::metrics::{EngineCall, Metrics};

/// Times a call, and counts it if it fails.
pub(crate) async fn timed<T, E>(
    metrics: &Metrics,
    call: EngineCall,
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let _under_way = UnderWay::new(metrics, call);
    let begun = Instant::now();
    let result = answer.await;
    metrics.engine_seconds.of(call).observe(begun.elapsed().as_secs_f64());
    if result.is_err() {
        metrics.engine_errors.of(call).inc();
    }
    result
}

struct UnderWay<'a>(&'a Metrics, EngineCall);

impl<'a> UnderWay<'a> {
    fn new(metrics: &'a Metrics, call: EngineCall) -> Self {
        metrics.engine_in_flight.of(call).inc();
        Self(metrics, call)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.engine_in_flight.of(self.1).dec();
    }
}

/// The calls of an engine whose every error means that it is away.
pub(crate) struct Calls {
    part: Part,
    metrics: Metrics,
    away: AtomicBool,
}

impl Calls {
    /// Of an engine that was just opened.
    pub(crate) fn new(part: Part, metrics: Metrics) -> Self {
        part.ready();
        Self { part, metrics, away: AtomicBool::new(false) }
    }

    /// Makes one. While it fails the node serves, without what needs the engine.
    pub(crate) async fn make<T, E: Display>(
        &self,
        call: EngineCall,
        answer: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let result = timed(&self.metrics, call, answer).await;
        match &result {
            Ok(_) if self.away.swap(false, Ordering::AcqRel) => self.part.ready(),
            Ok(_) => {}
            Err(error) => {
                self.away.store(true, Ordering::Release);
                self.part.degraded(error.to_string());
            }
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use volery_node::health::{Health, State};

    use super::*;

    #[tokio::test]
    async fn it_says_while_the_engine_is_away_and_counts_what_is_under_way() {
        let (health, metrics) = (Health::new(), Metrics::new().unwrap());
        let calls = Calls::new(health.part("timeline"), metrics.clone());
        let state = || health.report().parts["timeline"].clone();
        let call = EngineCall::TimelineSent;
        let under_way = || metrics.engine_in_flight.of(call).get();
        calls.make(call, async { Err::<(), _>("no node") }).await.unwrap_err();
        assert_eq!((state(), metrics.engine_errors.of(call).get()), (State::Degraded("no node".to_owned()), 1));
        assert!(health.report().ready, "the rest goes on");
        let seen = calls.make(call, async { Ok::<_, &str>(under_way()) }).await;
        assert_eq!(seen, Ok(1));
        assert_eq!((state(), under_way(), metrics.engine_seconds.of(call).get_sample_count()), (State::Ready, 0, 2));
        {
            let given_up = calls.make(call, std::future::pending::<Result<(), &str>>());
            let mut given_up = std::pin::pin!(given_up);
            assert!(tokio::time::timeout(std::time::Duration::from_millis(1), &mut given_up).await.is_err());
            assert_eq!(under_way(), 1);
        }
        assert_eq!(under_way(), 0, "who was given up is not under way");
    }
}
