//! The bus within one process, against the contract.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use volery_embedded::bus::LocalBus;
use volery_kernel::time::{Clock, Timestamp};
use volery_testkit::bus::conformance;

struct Wall;

impl Clock for Wall {
    #[expect(clippy::disallowed_methods, reason = "what the engine is given is the shell's clock")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Timestamp(since.map_or(0, |since| since.as_millis() as u64))
    }
}

#[tokio::test]
async fn keeps_the_contract() {
    conformance(async || {
        let bus = LocalBus::new(Arc::new(Wall));
        (bus.clone(), bus)
    })
    .await;
}
