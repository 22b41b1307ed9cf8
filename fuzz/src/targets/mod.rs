//! One function a decoder: it runs the decoder on the bytes and asserts what the decoder promises.

pub(crate) mod client;
pub(crate) mod door;
mod flat;
pub(crate) mod handshake;
pub(crate) mod log;
pub(crate) mod outside;
pub(crate) mod reach;
pub(crate) mod remote;
mod reseal;
mod samples;
pub(crate) mod stored;
pub(crate) mod wire;
