//! Random operations on an engine and on the model: every answer must be the same.
//!
//! Numbers are drawn from small ranges, so that names, devices, tokens and reservations collide.

use proptest::prelude::*;
use volery_kernel::id::{DeviceId, UserId};
use volery_kernel::time::Timestamp;
use volery_ports::sql::{AccountStore, Credentials, Unavailable, User};

use super::{Model, device, id, token, told, user};

/// One call with its arguments in small numbers.
#[derive(Clone, Debug)]
pub enum Op {
    /// Creates users: (id, number of the name, number of the password).
    Create(Vec<(u64, u64, u64)>),
    /// Reads credentials by the number of the name.
    Credentials(u64),
    /// Reads users.
    Users(Vec<u64>),
    /// Looks for a part of a name.
    Find(String, usize),
    /// Logs a new device of a user in, with a token that expires after so long.
    LogIn(u64, u64),
    /// Reads a device and its user's devices.
    Devices(u64, u64),
    /// Exchanges one of the tokens given so far for a new one that expires after so long.
    Rotate(u8, u64),
    /// Revokes a device in a user's name.
    Revoke(u64, u64),
    /// Takes from the outbox, and asks for the revocations after the same number.
    Take(u64, usize),
    /// Removes from the outbox.
    Done(Vec<u64>),
    /// Reserves a number: holder, for how long.
    Reserve(u16, u8, u64),
}

/// Sequences of up to `most` operations.
pub fn ops(most: usize) -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        prop::collection::vec((1..6u64, 1..6u64, 0..2u64), 1..4).prop_map(Op::Create),
        (1..6u64).prop_map(Op::Credentials),
        prop::collection::vec(1..6u64, 0..6).prop_map(Op::Users),
        ("(USER|user|me |ame|[a-z]{2}|É[a-z]\"|è*)[1-5]?", 0..4usize).prop_map(|(part, limit)| Op::Find(part, limit)),
        (1..6u64, 0..40u64).prop_map(|(user, life)| Op::LogIn(user, life)),
        (0..20u64, 1..6u64).prop_map(|(device, user)| Op::Devices(device, user)),
        (0..20u8, 0..40u64).prop_map(|(token, life)| Op::Rotate(token, life)),
        (1..6u64, 0..20u64).prop_map(|(user, device)| Op::Revoke(user, device)),
        (0..4u64, 0..4usize).prop_map(|(after, limit)| Op::Take(after, limit)),
        prop::collection::vec(1..6u64, 0..3).prop_map(Op::Done),
        (0..3u16, 0..3u8, 0..60u64).prop_map(|(number, holder, ahead)| Op::Reserve(number, holder, ahead)),
    ];
    prop::collection::vec(op, 0..most)
}

/// Runs the operations on an empty engine and on the model.
///
/// # Errors
/// The first operation that the two answer differently, with both answers.
pub async fn compare(engine: &dyn AccountStore, ops: &[Op]) -> Result<(), String> {
    let model = Model::default();
    let (mut there, mut here) = (Run::default(), Run::default());
    for (step, op) in ops.iter().enumerate() {
        let answer = there.step(engine, op, step as u64).await;
        let expected = here.step(&model, op, step as u64).await;
        if answer != expected {
            return Err(format!("step {step}, {op:?}:\n engine {answer:?}\n model  {expected:?}"));
        }
    }
    Ok(())
}

/// What a run must know of its own past: who exists, how many tokens and devices were given out.
#[derive(Default)]
struct Run {
    users: Vec<u64>,
    devices: u64,
    tokens: u8,
}

impl Run {
    /// Each step is ten milliseconds after the one before it.
    async fn step(&mut self, store: &dyn AccountStore, op: &Op, step: u64) -> Result<String, Unavailable> {
        let now = Timestamp(100 + 10 * step);
        match op {
            Op::Create(new) => {
                let created = store.create_users(new.iter().copied().map(varied).collect()).await?;
                self.users.extend(new.iter().map(|user| user.0));
                Ok(format!("{created:?}"))
            }
            Op::Credentials(name) => Ok(format!("{:?}", store.credentials(&format!("user{name}")).await?)),
            Op::Users(ids) => {
                let ids: Vec<_> = ids.iter().map(|&number| UserId(id(number))).collect();
                Ok(format!("{:?}", store.users(&ids).await?))
            }
            Op::Find(part, limit) => Ok(format!("{:?}", store.find_users(part, *limit).await?)),
            Op::LogIn(user, life) => self.log_in(store, *user, now.plus(*life)).await,
            Op::Devices(number, user) => {
                let one = store.device(DeviceId(id(*number))).await?;
                Ok(format!("{one:?} {:?}", store.devices(UserId(id(*user)), 3).await?))
            }
            Op::Rotate(number, life) => {
                let next = self.next_token(now.plus(*life));
                Ok(format!("{:?}", store.rotate(token(*number, 0).hash, next, now, &told).await?))
            }
            Op::Revoke(user, device) => {
                let (user, device) = (UserId(id(*user)), DeviceId(id(*device)));
                Ok(format!("{:?}", store.revoke(user, device, now, told(user, device)).await?))
            }
            Op::Take(after, limit) => {
                let taken = store.outbox_take(*after, *limit).await?;
                let revoked = store.revoked_after(*after, *limit).await?;
                Ok(format!("{taken:?}, {revoked:?} of {}", store.newest_revocation().await?))
            }
            Op::Done(numbers) => Ok(format!("{:?}", store.outbox_done(numbers).await?)),
            Op::Reserve(number, holder, ahead) => {
                Ok(format!("{:?}", store.reserve(*number, &format!("h{holder}"), now.plus(*ahead), now).await?))
            }
        }
    }

    /// The contract wants a user that exists.
    async fn log_in(&mut self, store: &dyn AccountStore, user: u64, expires: Timestamp) -> Result<String, Unavailable> {
        if store.users(&[UserId(id(user))]).await?.is_empty() {
            return Ok("nobody".into());
        }
        self.devices += 1;
        let token = self.next_token(expires);
        store.log_in(device(self.devices, user), token).await?;
        Ok(format!("device {}", self.devices))
    }

    fn next_token(&mut self, expires: Timestamp) -> volery_ports::sql::NewToken {
        self.tokens += 1;
        token(self.tokens, expires.0)
    }
}

fn varied((number, name, password): (u64, u64, u64)) -> Credentials {
    let Credentials { user: base, .. } = user(number);
    let user = User { user_name: format!("user{name}"), display_name: format!("Éx\"{number} Name {name}"), ..base };
    Credentials { user, password_hash: format!("$hash${password}") }
}
