//! How often somebody may try to log in, register or refresh, by address and by user name.
//!
//! Keys are hashed into 65,536 buckets with a hash that differs from process to process, so that memory
//! is bounded by construction: names that a client makes up cost nothing, and nobody can aim at the
//! bucket of somebody else. Two keys in one bucket share its rate; that is rare, and costs a wait.
//!
//! Rates may change while the gateway runs: each try goes by the newest.

use std::hash::{BuildHasher as _, Hash, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;

use governor::clock::{Clock as _, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use parking_lot::RwLock;
use tokio::sync::watch;
use volery_kernel::code::Code;
use volery_kernel::limits;

use crate::problem::Problem;

/// How often; each may also come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Log-ins per user name and minute; registrations of a name as well.
    pub logins_per_minute: NonZeroU32,
    /// Log-ins per address and minute.
    pub logins_per_minute_address: NonZeroU32,
    /// Registrations per address and hour.
    pub registrations_per_hour_address: NonZeroU32,
    /// Refreshes per address and minute.
    pub refreshes_per_minute_address: NonZeroU32,
}

impl Default for Rates {
    fn default() -> Self {
        let number = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        Self {
            logins_per_minute: number(10),
            logins_per_minute_address: number(60),
            registrations_per_hour_address: number(20),
            refreshes_per_minute_address: number(limits::REFRESHES_PER_MINUTE_ADDRESS.value),
        }
    }
}

struct Limiter {
    quota: fn(NonZeroU32) -> Quota,
    buckets: RwLock<Buckets>,
    hash: RandomState,
    clock: DefaultClock,
}

/// All of one rate.
struct Buckets {
    often: NonZeroU32,
    of: RateLimiter<u16, HashMapStateStore<u16>, DefaultClock>,
}

impl Buckets {
    fn new(quota: fn(NonZeroU32) -> Quota, often: NonZeroU32) -> Self {
        Self { often, of: RateLimiter::hashmap(quota(often)) }
    }
}

impl Limiter {
    fn new(quota: fn(NonZeroU32) -> Quota, often: NonZeroU32) -> Self {
        let buckets = RwLock::new(Buckets::new(quota, often));
        Self { quota, buckets, hash: RandomState::new(), clock: DefaultClock::default() }
    }

    fn check(&self, key: impl Hash, often: NonZeroU32) -> Result<(), Problem> {
        self.go_by(often);
        let bucket = (self.hash.hash_one(key) & 0xffff) as u16;
        self.buckets.read().of.check_key(&bucket).map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            Problem::new(Code::TooManyRequests).after_seconds(wait.as_millis().div_ceil(1_000).max(1) as u64)
        })
    }

    /// Under another rate all buckets begin anew, and full: once for each change that an operator makes.
    fn go_by(&self, often: NonZeroU32) {
        if self.buckets.read().often != often {
            let mut buckets = self.buckets.write();
            if buckets.often != often {
                *buckets = Buckets::new(self.quota, often);
            }
        }
    }
}

/// The limits of one gateway.
pub(crate) struct Limits {
    rates: watch::Receiver<Rates>,
    log_in_name: Limiter,
    log_in_address: Limiter,
    register_name: Limiter,
    register_address: Limiter,
    refresh_address: Limiter,
}

impl Limits {
    /// By the newest of `rates`, whenever it is asked.
    pub(crate) fn new(rates: watch::Receiver<Rates>) -> Self {
        let first = *rates.borrow();
        Self {
            rates,
            log_in_name: Limiter::new(Quota::per_minute, first.logins_per_minute),
            log_in_address: Limiter::new(Quota::per_minute, first.logins_per_minute_address),
            register_name: Limiter::new(Quota::per_minute, first.logins_per_minute),
            register_address: Limiter::new(Quota::per_hour, first.registrations_per_hour_address),
            refresh_address: Limiter::new(Quota::per_minute, first.refreshes_per_minute_address),
        }
    }

    fn now(&self) -> Rates {
        *self.rates.borrow()
    }

    pub(crate) fn log_in(&self, from: IpAddr, user_name: &str) -> Result<(), Problem> {
        let now = self.now();
        self.log_in_address.check(from, now.logins_per_minute_address)?;
        self.log_in_name.check(user_name, now.logins_per_minute)
    }

    pub(crate) fn register(&self, from: IpAddr, user_name: &str) -> Result<(), Problem> {
        let now = self.now();
        self.register_address.check(from, now.registrations_per_hour_address)?;
        self.register_name.check(user_name, now.logins_per_minute)
    }

    pub(crate) fn refresh(&self, from: IpAddr) -> Result<(), Problem> {
        self.refresh_address.check(from, self.now().refreshes_per_minute_address)
    }
}
