//! RFC 6455 case by case, over a real socket, against frames written by hand: the table of what a server that offers
//! no extension must do. Each case is sent whole, frame by frame and in pieces.
//!
//! | module | its part of the table |
//! |---|---|
//! | [`framing`] | lengths, masks, reserved bits, opcodes, sizes |
//! | [`control`] | pings, pongs, closes |
//! | [`fragments`] | messages in fragments, and what stands between |
//! | [`text`] | UTF-8 |
//!
//! Handshakes have a table of their own in `handshake.rs`; Autobahn's cases run in `autobahn.rs`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod case;
mod control;
mod fragments;
mod framing;
#[path = "../support/mod.rs"]
mod support;
mod text;

#[tokio::test]
async fn frames() {
    case::run(framing::cases()).await;
}

#[tokio::test]
async fn control_frames() {
    case::run(control::cases()).await;
}

#[tokio::test]
async fn messages_in_fragments() {
    case::run(fragments::cases()).await;
}

#[tokio::test]
async fn utf_8() {
    case::run(text::cases()).await;
}
