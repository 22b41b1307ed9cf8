//! Hashing and checking passwords, on one thread of its own.
//!
//! argon2id is made to be slow and large: on the threads that serve requests it would stop everybody
//! else. One thread with a short queue bounds what log-ins can cost, in memory and in waiting; when the
//! queue is full, callers are told at once. Work whose caller has gone is not done.
//!
//! Hashes are PHC strings, which name their own parameters: what was hashed elsewhere, or before the
//! parameters changed, is checked as it stands.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::oneshot;
use volery_kernel::limits;
use volery_ports::account_service::AccountError;

/// What a new hash costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Default for HashCost {
    /// argon2id with 19 MiB, 2 passes, 1 lane.
    fn default() -> Self {
        Self { memory_kib: 19 * 1_024, passes: 2, lanes: 1 }
    }
}

/// The most that a hash made elsewhere may cost to check: it would hold the thread and the memory of
/// everybody who logs in.
const MOST: HashCost = HashCost { memory_kib: 256 * 1_024, passes: 16, lanes: 16 };

/// The hashing thread. It ends when this is dropped.
pub(crate) struct Passwords {
    work: SyncSender<Work>,
}

enum Work {
    Hash { password: String, salt: [u8; 16], answer: oneshot::Sender<Result<String, String>> },
    Check { password: String, hash: String, answer: oneshot::Sender<Result<bool, String>> },
}

impl Passwords {
    /// Starts the thread; `queue` checks may wait.
    pub(crate) fn start(cost: HashCost, queue: usize) -> Result<Self, String> {
        let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, None).map_err(|e| e.to_string())?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let (work, waiting) = sync_channel(queue);
        let thread = thread::Builder::new().name("volery-passwords".into());
        thread.spawn(move || run(&argon2, &waiting)).map_err(|e| e.to_string())?;
        Ok(Self { work })
    }

    /// The PHC string of a password.
    pub(crate) async fn hash(&self, password: String, salt: [u8; 16]) -> Result<String, AccountError> {
        let (answer, answered) = oneshot::channel();
        self.queue(Work::Hash { password, salt, answer }, answered).await
    }

    /// Whether the password is the one that was hashed.
    pub(crate) async fn check(&self, password: String, hash: String) -> Result<bool, AccountError> {
        let (answer, answered) = oneshot::channel();
        self.queue(Work::Check { password, hash, answer }, answered).await
    }

    async fn queue<T>(&self, work: Work, answered: oneshot::Receiver<Result<T, String>>) -> Result<T, AccountError> {
        self.work.try_send(work).map_err(|_| AccountError::Busy)?;
        let answer = answered.await.map_err(|_| AccountError::Busy)?;
        answer.map_err(AccountError::Fault)
    }
}

fn run(argon2: &Argon2<'_>, waiting: &Receiver<Work>) {
    for work in waiting {
        match work {
            Work::Hash { answer, .. } if answer.is_closed() => {}
            Work::Check { answer, .. } if answer.is_closed() => {}
            Work::Hash { password, salt, answer } => {
                let hash = argon2.hash_password_with_salt(password.as_bytes(), &salt);
                drop(answer.send(hash.map(|hash| hash.to_string()).map_err(|e| e.to_string())));
            }
            Work::Check { password, hash, answer } => drop(answer.send(check(argon2, &password, &hash))),
        }
    }
}

fn check(argon2: &Argon2<'_>, password: &str, hash: &str) -> Result<bool, String> {
    let hash = PasswordHash::new(hash).map_err(|e| format!("a stored password hash: {e}"))?;
    Ok(argon2.verify_password(password.as_bytes(), &hash).is_ok())
}

/// Whether a hash made elsewhere can be checked here.
pub(crate) fn is_checkable(hash: &str) -> Result<(), &'static str> {
    let within = "password_hash must be a PHC string of argon2, at most 256 MiB, 16 passes and 16 lanes";
    let parsed = PasswordHash::new(hash).map_err(|_| within)?;
    let params = Params::try_from(&parsed).map_err(|_| within)?;
    let known =
        Algorithm::try_from(parsed.algorithm.as_str()).is_ok() && parsed.salt.is_some() && parsed.hash.is_some();
    let bearable =
        params.m_cost() <= MOST.memory_kib && params.t_cost() <= MOST.passes && params.p_cost() <= MOST.lanes;
    if known && bearable && hash.len() <= limits::PASSWORD_BYTES.value { Ok(()) } else { Err(within) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: HashCost = HashCost { memory_kib: 8, passes: 1, lanes: 1 };

    #[tokio::test]
    async fn the_right_password_and_no_other() {
        let passwords = Passwords::start(CHEAP, 4).expect("starts");
        let hash = passwords.hash("correct horse".into(), [7; 16]).await.expect("hashed");
        assert!(hash.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{hash}");
        assert_eq!(is_checkable(&hash), Ok(()));
        assert_eq!(passwords.check("correct horse".into(), hash.clone()).await, Ok(true));
        assert_eq!(passwords.check("correct hors".into(), hash).await, Ok(false));
    }

    #[tokio::test]
    async fn hashes_of_other_parameters_are_checked_as_they_stand() {
        let elsewhere = Passwords::start(HashCost { memory_kib: 64, passes: 3, lanes: 2 }, 1).expect("starts");
        let hash = elsewhere.hash("secret".into(), [1; 16]).await.expect("hashed");
        let here = Passwords::start(CHEAP, 1).expect("starts");
        assert_eq!(here.check("secret".into(), hash).await, Ok(true));
    }

    #[tokio::test]
    async fn a_full_queue_is_said_at_once() {
        let (work, waiting) = sync_channel(2);
        let passwords = Passwords { work };
        let mut first = Box::pin(passwords.hash("a".into(), [0; 16]));
        let mut second = Box::pin(passwords.hash("b".into(), [0; 16]));
        assert!(futures::poll!(&mut first).is_pending() && futures::poll!(&mut second).is_pending());
        assert_eq!(passwords.hash("c".into(), [0; 16]).await, Err(AccountError::Busy));
        drop(waiting);
        assert_eq!(first.await, Err(AccountError::Busy), "and a thread that is gone is busy for ever");
    }

    #[test]
    fn what_cannot_be_checked_is_not_taken() {
        let good = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$Zm9ydHktdHdvZm9ydHktdHdvZm9ydHktdHdvZm9ydA";
        assert_eq!(is_checkable(good), Ok(()));
        let huge = good.replace("m=19456", "m=4000000");
        let other = "$scrypt$ln=16,r=8,p=1$c29tZXNhbHRzb21lc2FsdA$Zm9ydHktdHdvZm9ydHktdHdvZm9ydHktdHdvZm9ydA";
        for bad in ["", "secret", "$argon2id$", "$2b$12$abcdefghijklmnopqrstuv", other, huge.as_str()] {
            assert!(is_checkable(bad).is_err(), "{bad}");
        }
    }
}
