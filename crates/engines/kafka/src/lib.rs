//! The log on Kafka: [`KafkaLog`] keeps the contract of [`volery_ports::log`] with a topic a generation.
//!
//! Each file owns one of Kafka's interfaces: `topic` what is checked before anything is written,
//! `append` what appends, through several of `producer`, `read` a few consumers that jump, `follow` one that
//! waits at the ends and keeps the newest records (`tail`), `offsets` everything that is a question about places,
//! `revive` what librdkafka does not do for clients by itself. Calls of librdkafka that wait run on tokio's
//! blocking threads, each with a deadline, but a commit's: it waits until a coordinator answers.

mod append;
mod follow;
mod log;
mod offsets;
mod options;
mod producer;
mod read;
mod record;
mod revive;
mod tail;
mod topic;

pub use log::KafkaLog;
pub use options::Options;
pub use topic::{OpenError, Owner};
