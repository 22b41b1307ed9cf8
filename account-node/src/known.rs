//! What is known of tokens, devices and users, and what it decides. No I/O, no clock.
//!
//! Log-outs made elsewhere are learnt for all devices together, by their numbers, so what is known of a
//! device is as new as the newer of two questions: for it alone, or for all.
//!
//! Traps avoided: an answer that was under way during a log-out must not bring the device back, so what is
//! revoked stays revoked; and a device must not be known before log-outs are counted, or one between the
//! two would be missed.

use std::sync::Arc;

use volery_kernel::id::{DeviceId, UserId};
use volery_kernel::time::Timestamp;
use volery_ports::accounts::{Claims, TokenError};

use crate::held::Held;
use crate::token::Keys;

/// A key that nobody has heard of is asked for at most this often: made-up tokens cost nobody a question each.
const KEYS_AGAIN_MS: u64 = 1_000;
/// Keys are asked for anew after this time, so that one that was withdrawn is not trusted for ever.
const KEYS_FRESH_MS: u64 = 60_000;
/// Who knows the facts is left alone for this long when it was away: longer than a call waits, so that
/// devices that are known go on without waiting each.
const AWAY_MS: u64 = 3_000;

/// What is held of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DeviceState {
    /// Logged in, as was said then; log-outs since are learnt for all devices together.
    Live { user: UserId, asked: Timestamp },
    /// Logged out, for ever.
    Revoked,
}

/// What is known of a device whose token was verified.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// Enough.
    Known(Result<(), TokenError>),
    /// This, unless it was logged out meanwhile.
    Stale(Result<(), TokenError>),
    /// Nothing.
    Unknown,
}

/// Every log-out up to this number was learnt, and when it was asked.
#[derive(Clone, Copy)]
struct LogOuts {
    number: u64,
    asked: Timestamp,
}

/// What was looked up, bounded. Tokens are held by their hash: fixed size, and no secret lies about.
pub(crate) struct Known {
    tokens: Held<[u8; 32], Claims>,
    devices: Held<DeviceId, DeviceState>,
    users: Held<UserId, ()>,
    keys: Option<(Arc<Keys>, Timestamp)>,
    log_outs: Option<LogOuts>,
    away: Option<Timestamp>,
    fresh_ms: u64,
}

impl Known {
    /// Nothing. Holds twice `most` entries of each kind; a device may be as old as `fresh_ms`.
    pub(crate) fn new(most: usize, fresh_ms: u64) -> Self {
        let (tokens, devices, users) = (Held::new(most), Held::new(most), Held::new(most));
        Self { tokens, devices, users, keys: None, log_outs: None, away: None, fresh_ms }
    }

    /// What a token says that was verified before.
    pub(crate) fn claims(&mut self, hash: &[u8; 32]) -> Option<Claims> {
        self.tokens.get(hash)
    }

    /// A token was verified.
    pub(crate) fn verified(&mut self, hash: [u8; 32], claims: Claims) {
        self.tokens.put(hash, claims);
    }

    /// The keys, unless they should be asked for before a token that `kid` signed is judged.
    pub(crate) fn keys_for(&self, kid: &str, now: Timestamp) -> Option<Arc<Keys>> {
        let (keys, asked) = self.keys.as_ref()?;
        (keys.has(kid) || is_within(KEYS_AGAIN_MS, *asked, now)).then(|| Arc::clone(keys))
    }

    /// Whether the keys are to be asked for, whatever token comes.
    pub(crate) fn keys_are_old(&self, now: Timestamp) -> bool {
        !self.keys.as_ref().is_some_and(|(_, asked)| is_within(KEYS_FRESH_MS, *asked, now))
    }

    /// These keys are published. Tokens that another set had verified are judged anew.
    pub(crate) fn learn_keys(&mut self, keys: Keys, now: Timestamp) -> Arc<Keys> {
        if self.keys.as_ref().is_some_and(|(held, _)| held.published() != keys.published()) {
            self.tokens.clear();
        }
        let keys = Arc::new(keys);
        self.keys = Some((Arc::clone(&keys), now));
        keys
    }

    /// What is known of the device that the claims name.
    pub(crate) fn judge(&mut self, claims: Claims, now: Timestamp) -> Judgement {
        match self.devices.get(&claims.device) {
            None => Judgement::Unknown,
            Some(DeviceState::Revoked) => Judgement::Known(Err(TokenError::Revoked)),
            Some(DeviceState::Live { user, asked }) if self.is_fresh(asked, now) => {
                Judgement::Known(same(user, claims))
            }
            Some(DeviceState::Live { user, .. }) => Judgement::Stale(same(user, claims)),
        }
    }

    /// The number up to which log-outs are known, once that is counted.
    pub(crate) fn log_outs(&self) -> Option<u64> {
        self.log_outs.map(|known| known.number)
    }

    /// Log-outs are counted from here on, unless they are already; answers from where.
    pub(crate) fn count_log_outs(&mut self, number: u64, asked: Timestamp) -> u64 {
        self.log_outs.get_or_insert(LogOuts { number, asked }).number
    }

    /// Whether log-outs should be asked for: they are old, and somebody was there when last asked.
    pub(crate) fn wants_log_outs(&self, now: Timestamp) -> bool {
        let rests = self.away.is_some_and(|away| is_within(AWAY_MS, away, now));
        let fresh = self.log_outs.is_some_and(|known| is_within(self.fresh_ms, known.asked, now));
        self.log_outs.is_some() && !rests && !fresh
    }

    /// These were logged out.
    pub(crate) fn logged_out(&mut self, numbered: &[(u64, DeviceId)]) {
        for &(number, device) in numbered {
            self.revoke(device);
            if let Some(known) = &mut self.log_outs {
                known.number = number;
            }
        }
    }

    /// All log-outs are known that were made before `now`.
    pub(crate) fn log_outs_asked(&mut self, now: Timestamp) {
        self.away = None;
        if let Some(known) = &mut self.log_outs {
            known.asked = now;
        }
    }

    /// Nobody was there to ask.
    pub(crate) fn nobody_there(&mut self, now: Timestamp) {
        self.away = Some(now);
    }

    /// The device was logged out.
    pub(crate) fn revoke(&mut self, device: DeviceId) {
        self.devices.put(device, DeviceState::Revoked);
    }

    /// A log-out may have come while something was asked.
    pub(crate) fn unless_revoked(&mut self, device: DeviceId) -> Result<(), TokenError> {
        let revoked = self.devices.get(&device) == Some(DeviceState::Revoked);
        if revoked { Err(TokenError::Revoked) } else { Ok(()) }
    }

    /// The device was logged in when that was asked. Refused if it was logged out meanwhile.
    pub(crate) fn learn(&mut self, device: DeviceId, user: UserId, asked: Timestamp) -> Result<(), TokenError> {
        self.unless_revoked(device)?;
        if self.log_outs.is_some() {
            self.devices.put(device, DeviceState::Live { user, asked });
        }
        Ok(())
    }

    /// Whether the user was seen.
    pub(crate) fn has_user(&mut self, user: UserId) -> bool {
        self.users.get(&user).is_some()
    }

    /// The user exists.
    pub(crate) fn learn_user(&mut self, user: UserId) {
        self.users.put(user, ());
    }

    fn is_fresh(&self, asked: Timestamp, now: Timestamp) -> bool {
        let all = self.log_outs.is_some_and(|known| is_within(self.fresh_ms, known.asked, now));
        all || is_within(self.fresh_ms, asked, now)
    }
}

/// Whether the device that a token names is its user's.
pub(crate) fn same(user: UserId, claims: Claims) -> Result<(), TokenError> {
    if user == claims.user { Ok(()) } else { Err(TokenError::Invalid) }
}

/// A clock that stepped back makes nothing fresh.
fn is_within(ms: u64, asked: Timestamp, now: Timestamp) -> bool {
    asked <= now && now.since(asked) < ms
}

#[cfg(test)]
mod tests {
    use super::*;
    use volery_kernel::id::Id;

    const FRESH_MS: u64 = 4_000;

    fn claims() -> Claims {
        let id = |number| Id::new(number).expect("an id");
        Claims { user: UserId(id(1)), device: DeviceId(id(2)), expires: Timestamp(u64::MAX) }
    }

    fn known_at(now: u64) -> Known {
        let mut known = Known::new(8, FRESH_MS);
        known.count_log_outs(0, Timestamp(now));
        known.learn(claims().device, claims().user, Timestamp(now)).expect("logged in");
        known
    }

    #[test]
    fn a_device_is_known_for_a_while_and_then_stale() {
        let mut known = known_at(10_000);
        assert_eq!(known.judge(claims(), Timestamp(10_000 + FRESH_MS - 1)), Judgement::Known(Ok(())));
        let later = Timestamp(10_000 + FRESH_MS);
        assert_eq!(known.judge(claims(), later), Judgement::Stale(Ok(())));
        assert_eq!(known.judge(claims(), Timestamp(9_999)), Judgement::Stale(Ok(())), "a clock that stepped back");
        known.log_outs_asked(later);
        assert_eq!(known.judge(claims(), later), Judgement::Known(Ok(())), "one question renews all");
        let foreign = Claims { user: UserId(claims().device.0), ..claims() };
        assert_eq!(known.judge(foreign, later), Judgement::Known(Err(TokenError::Invalid)));
    }

    #[test]
    fn what_is_revoked_stays_revoked() {
        let mut known = known_at(0);
        known.logged_out(&[(7, claims().device)]);
        assert_eq!(known.log_outs(), Some(7));
        assert_eq!(known.learn(claims().device, claims().user, Timestamp(1)), Err(TokenError::Revoked));
        assert_eq!(known.judge(claims(), Timestamp(1)), Judgement::Known(Err(TokenError::Revoked)));
    }

    #[test]
    fn no_device_is_known_before_log_outs_are_counted() {
        let mut known = Known::new(8, FRESH_MS);
        assert!(!known.wants_log_outs(Timestamp(0)));
        known.learn(claims().device, claims().user, Timestamp(0)).expect("as was said");
        assert_eq!(known.judge(claims(), Timestamp(0)), Judgement::Unknown);
    }

    #[test]
    fn who_was_away_is_left_alone_for_a_while() {
        let mut known = known_at(0);
        let now = Timestamp(FRESH_MS);
        assert!(known.wants_log_outs(now));
        known.nobody_there(now);
        assert!(!known.wants_log_outs(now.plus(AWAY_MS - 1)) && known.wants_log_outs(now.plus(AWAY_MS)));
        known.log_outs_asked(now.plus(AWAY_MS));
        assert!(!known.wants_log_outs(now.plus(AWAY_MS)));
    }
}
