//! A bus, watched. What is heard is counted by who hears it.

use std::sync::Arc;

use async_trait::async_trait;
use volery_kernel::id::UserId;
use volery_node::metrics::EngineCall;
use volery_ports::bus::{Away, Bus, Ear, Heard, Presence, Said};

use crate::calls::Calls;

pub(crate) struct WatchedBus {
    bus: Arc<dyn Bus>,
    calls: Calls,
}

impl WatchedBus {
    pub(crate) fn new(bus: Arc<dyn Bus>, calls: Calls) -> Self {
        Self { bus, calls }
    }
}

#[async_trait]
impl Bus for WatchedBus {
    fn listen(&self, heard: Heard) -> Box<dyn Ear> {
        self.bus.listen(heard)
    }

    async fn say(&self, batch: Vec<Said>) -> Result<(), Away> {
        self.calls.make(EngineCall::BusSay, self.bus.say(batch)).await
    }

    async fn presence(&self, users: &[UserId]) -> Result<Vec<Presence>, Away> {
        self.calls.make(EngineCall::BusPresence, self.bus.presence(users)).await
    }
}
