//! `resume_us_cpu`: what the server's processor does to bring back a device that missed 20 messages, from
//! its connection to `synced`. The messages stand in the tail; the token was verified before.
//!
//! Traps avoided: the sessions that are dropped are gone before anything is counted; every device has
//! to get its 20 messages, and the server has to say that each was synced from its tail; a token that was
//! verified and is revoked since must not come back.

use std::time::Duration;

use futures::future::try_join_all;
use loadtest::account::{Account, log_in};
use loadtest::clock;
use loadtest::failure::Failure;
use loadtest::link::{Link, Open};
use loadtest::server::Server;
use volery_client::shell::Api;
use volery_kernel::id::UserId;
use volery_wire::server::Reply;

use crate::bench::{Bench, Taken, progress};
use crate::post::post;
use crate::stages::process_nanos;

/// The figure.
pub(crate) const NAME: &str = "resume_us_cpu";
const MISSED: usize = 20;
const TEXT: usize = 256;
/// As many that their echoes are spread over all partitions: a tail's bytes are a partition's.
const SENDERS: usize = 100;
/// Devices that come back at once.
const AT_ONCE: usize = 20;
const WITHIN: Duration = Duration::from_secs(30);
/// What follows from the messages themselves is over by then.
const SETTLE: Duration = Duration::from_secs(2);
const SESSIONS: &str = "volery_sessions";
const ARCHIVED: &str = "volery_messages_total{stage=\"archived\"}";
const FROM_TAIL: &str = "volery_syncs_total{by=\"tail\"}";

/// A device that comes and goes, and where it was.
struct Device {
    account: Account,
    number: usize,
    stored: Open,
}

pub(crate) async fn run(bench: &Bench) -> Result<Taken, Failure> {
    let count = bench.sizes.devices;
    let server = bench.server(count + SENDERS)?;
    let mut accounts = log_in(server.gateway(), &Server::people(0..count + SENDERS)).await?;
    let senders = accounts.split_off(count);
    let senders = senders.iter().enumerate().map(|(number, account)| Link::open(account, number));
    let mut senders = try_join_all(senders).await?;
    let devices = accounts.into_iter().enumerate();
    let mut devices: Vec<_> =
        devices.map(|(number, account)| Device { account, number, stored: Open::default() }).collect();
    for batch in devices.chunks_mut(AT_ONCE) {
        try_join_all(batch.iter_mut().map(|device| device.come(0))).await?;
    }
    let mut rounds = Vec::new();
    for round in 0..bench.rounds {
        send_to_all(&server, &mut senders, &devices).await?;
        let used = bring_back(&server, &mut devices).await? / count as f64;
        progress(NAME, round, bench.rounds, &format!("{used:.0} µs"));
        rounds.push(used);
    }
    if let Some(device) = devices.first() {
        stays_out(&server, device).await?;
    }
    Ok(Taken { figures: vec![(NAME, rounds)], shares: Vec::new() })
}

/// Everybody is away; then everybody misses something.
async fn send_to_all(server: &Server, senders: &mut [Link], devices: &[Device]) -> Result<(), Failure> {
    let begun = clock::nanos();
    while server.metric(SESSIONS).await? > senders.len() as u64 {
        if clock::since(begun) > WITHIN {
            return Err(Failure("sessions whose sockets are gone do not end".to_owned()));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let before = server.metric(ARCHIVED).await?;
    let users: Vec<UserId> = devices.iter().map(|device| device.account.user).collect();
    let each = users.chunks(users.len().div_ceil(senders.len()).max(1));
    try_join_all(senders.iter_mut().zip(each).map(|(link, users)| post(link, users, MISSED, TEXT))).await?;
    server.reaches(ARCHIVED, before + (devices.len() * MISSED) as u64, WITHIN).await?;
    tokio::time::sleep(SETTLE).await;
    Ok(())
}

/// What it took for all of them, in µs.
async fn bring_back(server: &Server, devices: &mut [Device]) -> Result<f64, Failure> {
    let (synced, used) = (server.metric(FROM_TAIL).await?, process_nanos(server.pid())?);
    // Held until all are back: their going is not their coming.
    let mut back = Vec::with_capacity(devices.len());
    for batch in devices.chunks_mut(AT_ONCE) {
        back.extend(try_join_all(batch.iter_mut().map(|device| device.come(MISSED))).await?);
    }
    let used = process_nanos(server.pid())? - used;
    let synced = server.metric(FROM_TAIL).await? - synced;
    if synced < devices.len() as u64 {
        let metrics = server.metrics().await?;
        let ways: Vec<_> = metrics.lines().filter(|line| line.starts_with("volery_syncs_total")).collect();
        let from_tail = format!("{synced} of {} devices were synced from the tail", devices.len());
        return Err(Failure(format!("{from_tail}; all so far: {}", ways.join(", "))));
    }
    Ok(used as f64 / 1_000.0)
}

impl Device {
    /// Opens a session where the last one ended, and stores where this one is.
    async fn come(&mut self, missed: usize) -> Result<Link, Failure> {
        let mut link = Link::greet(&self.account, self.number, &self.stored).await?;
        let mut got = 0;
        while !link.is_synced() {
            let mut see = |reply: &Reply<'_>| got += usize::from(matches!(reply, Reply::Message(_)));
            let turned = tokio::time::timeout(WITHIN, link.turn(&mut see)).await;
            turned.map_err(|_| Failure(format!("device {} is not synced", self.number)))??;
        }
        if got != missed {
            return Err(Failure(format!("device {} got {got} messages, not {missed}", self.number)));
        }
        let (previous, resume) = (link.session(), link.position().cloned());
        self.stored = Open { previous, resume, largest_id: link.largest_id(), ..Open::default() };
        Ok(link)
    }
}

/// A session that is logged out does not come back with its verified token.
async fn stays_out(server: &Server, device: &Device) -> Result<(), Failure> {
    let token = &device.account.access_token;
    Api::new(server.gateway(), device.account.trust.clone())?.log_out(token).await?;
    let begun = clock::nanos();
    while Link::open_as(&device.account, device.number, &device.stored).await.is_ok() {
        if clock::since(begun) > Duration::from_secs(5) {
            return Err(Failure("a revoked token is still good after 5 s".to_owned()));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}
