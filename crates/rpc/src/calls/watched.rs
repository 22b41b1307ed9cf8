//! What becomes of the calls of a role, for metrics and health.
//!
//! Trap avoided: a refusal is an answer. A role that says no is there, and so is one that says that its own store is
//! away.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use volery_node::health::Part;
use volery_node::metrics::{AskedRole, CallOutcome, Metrics, RoleCall};

use super::Call;
use super::outcome::Failed;
use crate::status;

/// Says how calls of a role go. While they bring no answer its part is degraded: whoever asks serves, without what it
/// would be told.
pub struct Watched {
    role: AskedRole,
    metrics: Metrics,
    part: Part,
    away: AtomicBool,
}

impl Watched {
    /// Of a role that nobody has asked yet.
    #[must_use]
    pub fn new(role: AskedRole, metrics: Metrics, part: Part) -> Self {
        part.ready();
        Self { role, metrics, part, away: AtomicBool::new(false) }
    }

    /// A call has ended. One that waited for news took as long as it took.
    pub(super) fn ended<T>(&self, call: Call, took: Duration, result: &Result<T, Failed>) {
        let (role, outcome) = (self.role, outcome(result));
        self.metrics.role_calls.of(RoleCall { role, outcome }).inc();
        if call.patience.is_zero() {
            self.metrics.role_seconds.of(role).observe(took.as_secs_f64());
        }
        match result {
            Err(Failed::NotSent(failed) | Failed::Lost(failed) | Failed::Late(failed)) => {
                self.away.store(true, Ordering::Release);
                self.part.degraded(format!("nobody answers: {}", status::told(failed)));
            }
            Ok(_) | Err(Failed::Refused(_)) if self.away.swap(false, Ordering::AcqRel) => self.part.ready(),
            Ok(_) | Err(Failed::Refused(_)) => {}
        }
    }
}

fn outcome<T>(result: &Result<T, Failed>) -> CallOutcome {
    match result {
        Ok(_) => CallOutcome::Answered,
        Err(Failed::Refused(_)) => CallOutcome::Refused,
        Err(Failed::NotSent(_)) => CallOutcome::NotSent,
        Err(Failed::Lost(_)) => CallOutcome::Lost,
        Err(Failed::Late(_)) => CallOutcome::Late,
    }
}
