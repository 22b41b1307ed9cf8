//! Which stage of a message used the server's processor, so that the next gain can be seen.
//!
//! | stage | from |
//! |---|---|
//! | socket | the kernel's part of the sessions' threads: reads, writes, polls, wakings |
//! | parse | reading a send's frame and its share of a confirmation, timed here on the same code |
//! | id | taking an id, timed here on the same code |
//! | delivery | what else the sessions' threads do: sessions, tails, encoding |
//! | log, fan-out, archive | their threads; archive with the store's workers |
//! | other | all other threads |
//!
//! A round covers the log-ins before it too: a few per cent of `other` and `delivery`.

use std::collections::BTreeMap;
use std::fs;
use std::hint::black_box;

use loadtest::clock;
use loadtest::failure::Failure;
use loadtest::server::Server;
use volery_kernel::generator::Generator;
use volery_kernel::id::{Id, UserId};
use volery_kernel::time::Timestamp;
use volery_wire::client::{Received, Request, Send};
use volery_wire::codec::{decode_request, encode_request};

use crate::asker::ENCODING;
use crate::figure::Share;
use crate::records::{APPENDED_BYTES, APPENDS};
use crate::sender::TEXT;
use crate::stats::median;

/// Events that one confirmation covers.
const CONFIRMED: f64 = 16.0;
/// How often something is done that is too short to be timed once.
const TIMES: u32 = 100_000;
const LOG: [(&str, &str); 3] = [(APPENDS, "records"), ("volery_log_syncs_total", "syncs"), (APPENDED_BYTES, "bytes")];
const SESSIONS: [&str; 2] = ["sessions_user", "socket"];

/// Processor time of a server's threads in µs by stage, and counters of its log.
#[derive(Clone, Debug, Default)]
pub struct Stages {
    used: BTreeMap<&'static str, u64>,
    log: BTreeMap<&'static str, u64>,
}

impl Stages {
    /// Now.
    ///
    /// # Errors
    /// The server is gone.
    pub async fn of(server: &Server) -> Result<Self, Failure> {
        let mut stages = Self::default();
        for task in fs::read_dir(format!("/proc/{}/task", server.pid()))? {
            // A thread may end while it is looked at.
            let Ok(stat) = fs::read_to_string(task?.path().join("stat")) else { continue };
            let Some((name, user, kernel)) = times(&stat) else { continue };
            let (first, second) = stage(name).map_or(SESSIONS.into(), |stage| (stage, stage));
            *stages.used.entry(first).or_default() += user;
            *stages.used.entry(second).or_default() += kernel;
        }
        for (series, unit) in LOG {
            stages.log.insert(unit, server.metric(series).await?);
        }
        Ok(stages)
    }

    /// What was used since, a message.
    ///
    /// # Errors
    /// What is timed here does not work.
    pub fn per_message(&self, before: &Self, messages: u64) -> Result<Vec<Share>, Failure> {
        let each = |now: &u64, before: Option<&u64>| {
            now.saturating_sub(before.copied().unwrap_or_default()) as f64 / messages.max(1) as f64
        };
        let (parse, id) = (parse_us()?, id_us()?);
        let mut shares = vec![("parse", parse, "us"), ("id", id, "us")];
        for (stage, now) in &self.used {
            let used = each(now, before.used.get(stage));
            shares.push(match *stage {
                "sessions_user" => ("delivery", (used - parse - id).max(0.0), "us"),
                stage => (stage, used, "us"),
            });
        }
        shares.extend(self.log.iter().map(|(unit, now)| ("log", each(now, before.log.get(unit)), *unit)));
        Ok(shares.into_iter().map(|(name, value, unit)| Share { name: name.to_owned(), value, unit }).collect())
    }
}

/// The stage whose thread has this name; none if it is the sessions'.
fn stage(thread: &str) -> Option<&'static str> {
    const NAMES: [(&str, &str); 5] =
        [("volery-log", "log"), ("fanout", "fan-out"), ("archive", "archive"), ("fjall", "archive"), ("actix-rt", "")];
    let known = NAMES.iter().find(|(name, _)| thread.starts_with(name)).map(|(_, stage)| *stage);
    known.map_or(Some("other"), |stage| (!stage.is_empty()).then_some(stage))
}

/// Name, user time and system time in µs out of a thread's `stat`; the name may hold anything.
fn times(stat: &str) -> Option<(&str, u64, u64)> {
    const TICK_US: u64 = 10_000;
    let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11).map(str::parse::<u64>);
    Some((name, fields.next()?.ok()? * TICK_US, fields.next()?.ok()? * TICK_US))
}

/// The medians over rounds, named `run/stage`.
#[must_use]
pub fn shares(run: &str, rounds: &[Vec<Share>]) -> Vec<Share> {
    let mut values: BTreeMap<(&str, &'static str), Vec<f64>> = BTreeMap::new();
    for share in rounds.iter().flatten() {
        values.entry((share.name.as_str(), share.unit)).or_default().push(share.value);
    }
    let middle = |((name, unit), values): ((&str, &'static str), Vec<f64>)| {
        Some(Share { name: format!("{run}/{name}"), value: median(&values)?, unit })
    };
    values.into_iter().filter_map(middle).collect()
}

fn parse_us() -> Result<f64, Failure> {
    let to = UserId(Id::new(1 << 40)?);
    let (number, since_welcome, text) = (1_000, 60_000, ".".repeat(TEXT).into());
    let send = Send { to, number, since_welcome, retry_of: None, shown: None, text, reply_to: None };
    let send = encode_request(ENCODING, 1_000, &Request::Send(send));
    let received = encode_request(ENCODING, 1_000, &Request::Received(Received { n: 100_000 }));
    let read = |frame: &[u8]| each_us(|| decode_request(ENCODING, black_box(frame)).is_ok());
    Ok(read(&send)? + read(&received)? / CONFIRMED)
}

fn id_us() -> Result<f64, Failure> {
    let (now, until) = (Timestamp(1_795_000_000_000), Timestamp(1_895_000_000_000));
    let mut generator = Generator::new(1, now, until);
    let mut at = 0;
    each_us(|| {
        at += 1;
        generator.take(black_box(now.plus(at / 100)), Id::ZERO).is_ok()
    })
}

fn each_us(mut act: impl FnMut() -> bool) -> Result<f64, Failure> {
    let begun = clock::nanos();
    if (0..TIMES).all(|_| black_box(act())) {
        return Ok(clock::since(begun).as_secs_f64() * 1_000_000.0 / f64::from(TIMES));
    }
    Err(Failure("what is timed does not work".to_owned()))
}

/// Processor time of a whole process in ns, ended threads included: finer than `/proc` tells it.
///
/// # Errors
/// There is no such process.
pub fn process_nanos(pid: u32) -> Result<u64, Failure> {
    let (mut clock, mut time) = (0, libc::timespec { tv_sec: 0, tv_nsec: 0 });
    // SAFETY: both calls write into what they are given and into nothing else.
    let failed = unsafe {
        libc::clock_getcpuclockid(libc::pid_t::try_from(pid)?, &raw mut clock) != 0
            || libc::clock_gettime(clock, &raw mut time) != 0
    };
    if failed {
        return Err(Failure(format!("there is no process {pid}")));
    }
    Ok(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_told_apart_by_name() {
        let stat = "7 (actix-rt|system) S 1 2 3 4 5 6 7 8 9 10 40 2 0 0 20";
        assert_eq!(times(stat), Some(("actix-rt|system", 400_000, 20_000)));
        assert_eq!(stage("actix-rt|system"), None);
        assert_eq!(stage("fjall:worker"), Some("archive"));
        assert_eq!(stage("sqlx-sqlite-wor"), Some("other"));
    }

    #[test]
    fn a_process_uses_its_processor() {
        let before = process_nanos(std::process::id()).unwrap_or_else(|failure| panic!("{}", failure.0));
        assert!(parse_us().is_ok_and(|us| us > 0.0) && id_us().is_ok_and(|us| us > 0.0));
        assert!(process_nanos(std::process::id()).is_ok_and(|after| after > before));
    }

    #[test]
    fn shares_of_rounds_become_medians() {
        let round = |value| vec![Share { name: "log".to_owned(), value, unit: "us" }];
        let expected = Share { name: "flood/log".to_owned(), value: 2.0, unit: "us" };
        assert_eq!(shares("flood", &[round(9.0), round(1.0), round(2.0)]), vec![expected]);
    }
}
