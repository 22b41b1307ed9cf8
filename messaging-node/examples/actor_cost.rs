//! What an idle actor costs in resident memory: the price of a user's actor beside its sessions'.
//!
//! `cargo run --release -p volery-messaging --example actor_cost` prints bytes an actor, over five points.

use actix::{Actor, Addr, Context};

/// As small as a user's actor could be: who it is, and its live sessions.
struct Idle {
    _user: u64,
    _sessions: Vec<u64>,
}

impl Actor for Idle {
    type Context = Context<Self>;
}

fn resident_bytes() -> Option<u64> {
    const PAGE: u64 = 4_096;
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(statm.split(' ').nth(1)?.parse::<u64>().ok()? * PAGE)
}

fn main() {
    const STEP: u64 = 50_000;
    actix_rt::System::new().block_on(async {
        let mut actors: Vec<Addr<Idle>> = Vec::with_capacity(6 * STEP as usize);
        let mut before = None;
        for point in 1..=6 {
            actors.extend((0..STEP).map(|user| Idle { _user: user, _sessions: vec![user] }.start()));
            // Every actor has been polled once.
            tokio::task::yield_now().await;
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            let now = resident_bytes();
            if let (Some(before), Some(now)) = (before, now) {
                println!("{:>7} actors: {} bytes each", point * STEP, (now - before) / STEP);
            }
            before = now;
        }
    });
}
