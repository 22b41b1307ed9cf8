//! The timeline's conformance suite and its model.
//!
//! | file | owns |
//! |---|---|
//! | `model` | [`ModelTimeline`]: the contract as maps |
//! | `make` | values to write |
//! | `contract` | the contract, a sentence at a time |
//! | `random` | seeded sequences compared with the model |
//!
//! To try an engine: implement [`Subject`] for it and run [`conformance`] in a test on a runtime with
//! several threads.

mod contract;
mod make;
mod model;
mod random;

use std::sync::Arc;

use volery_ports::timeline::{Timeline, Unavailable};

pub use model::ModelTimeline;

/// An engine under test.
pub trait Subject {
    /// The engine as it is open now.
    fn timeline(&self) -> Arc<dyn Timeline>;

    /// Closes it in good order and opens it again; engines that run elsewhere do nothing.
    ///
    /// # Errors
    /// [`Unavailable`] if it did not come back.
    fn reopen(&mut self) -> Result<(), Unavailable>;
}

impl Subject for Arc<ModelTimeline> {
    fn timeline(&self) -> Arc<dyn Timeline> {
        Self::clone(self)
    }

    fn reopen(&mut self) -> Result<(), Unavailable> {
        Ok(())
    }
}

/// Runs the whole suite. `fresh` makes an empty engine for each part; `seeds` random sequences are run.
///
/// # Errors
/// [`Unavailable`] if the engine was. Panics where the engine breaks the contract.
pub async fn conformance<S: Subject>(fresh: impl Fn() -> S, seeds: u64) -> Result<(), Unavailable> {
    contract::all(&fresh).await?;
    for seed in 0..seeds {
        random::run(fresh(), seed).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use volery_kernel::slot::Partition;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_model_keeps_the_contract() {
        conformance(|| Arc::new(ModelTimeline::default()), 20).await.unwrap();
    }

    #[tokio::test]
    async fn an_outage_of_the_model_answers_unavailable_and_changes_nothing() {
        let model = ModelTimeline::default();
        model.set_down(true);
        assert!(model.apply(Partition(0), Vec::new(), Some(make::commit(1))).await.is_err());
        assert!(model.committed(Partition(0)).await.is_err());
        model.set_down(false);
        assert_eq!(model.committed(Partition(0)).await, Ok(None));
    }
}
