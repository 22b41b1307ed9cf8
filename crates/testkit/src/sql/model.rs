//! The contract in the fewest words: maps behind one lock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use parking_lot::{Mutex, MutexGuard};
use volery_kernel::id::{DeviceId, UserId};
use volery_kernel::time::Timestamp;
use volery_ports::sql::{
    AccountStore, Created, Credentials, Device, NewEntry, NewToken, OutboxEntry, OutboxLead, Reservation, Rotation,
    SigningKey, TokenHash, Unavailable, User,
};

#[derive(Default)]
struct State {
    users: BTreeMap<UserId, Credentials>,
    devices: BTreeMap<DeviceId, Device>,
    tokens: BTreeMap<TokenHash, Token>,
    outbox: BTreeMap<u64, NewEntry>,
    entries: u64,
    revocations: BTreeMap<u64, DeviceId>,
    reservations: BTreeMap<u16, (String, Timestamp, Timestamp)>,
    keys: Vec<SigningKey>,
}

struct Token {
    device: DeviceId,
    expires: Timestamp,
    used: bool,
}

/// An account store in memory.
#[derive(Default)]
pub struct Model {
    state: Mutex<State>,
    away: AtomicBool,
    /// Whoever holds a clone of what is in here leads; a new one is put in where the store has forgotten.
    lead: Mutex<Arc<AtomicBool>>,
    devices_asked: AtomicUsize,
}

impl Model {
    /// How often a single device was asked for.
    pub fn devices_asked(&self) -> usize {
        self.devices_asked.load(Ordering::SeqCst)
    }

    /// Lets every call fail from here on, or none.
    pub fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    /// Forgets who leads the outbox, as a database does that is started anew.
    pub fn forget_lead(&self) {
        *self.lead.lock() = Arc::default();
    }

    fn state(&self) -> Result<MutexGuard<'_, State>, Unavailable> {
        if self.away.load(Ordering::SeqCst) { Err(Unavailable("switched off".into())) } else { Ok(self.state.lock()) }
    }
}

/// Leads while the store still has the same flag.
struct ModelLead {
    taken: Arc<AtomicBool>,
}

#[async_trait]
impl OutboxLead for ModelLead {
    async fn holds(&mut self) -> bool {
        Arc::strong_count(&self.taken) > 1
    }
}

impl Drop for ModelLead {
    fn drop(&mut self) {
        self.taken.store(false, Ordering::SeqCst);
    }
}

impl State {
    fn create(&mut self, new: Credentials) -> Created {
        if let Some(holder) = self.users.values().find(|user| user.user.user_name == new.user.user_name) {
            let created = holder.user.created;
            let same = *holder == Credentials { user: User { created, ..new.user.clone() }, ..new };
            return if same { Created::Done } else { Created::NameTaken };
        }
        if self.users.contains_key(&new.user.id) {
            return Created::IdTaken;
        }
        self.users.insert(new.user.id, new);
        Created::Done
    }

    fn revoke(&mut self, id: DeviceId, now: Timestamp, told: impl FnOnce(&Device) -> NewEntry) -> Option<u64> {
        let device = self.devices.get_mut(&id).filter(|device| device.revoked.is_none())?;
        device.revoked = Some(now);
        self.entries += 1;
        self.outbox.insert(self.entries, told(device));
        self.revocations.insert(self.entries, id);
        Some(self.entries)
    }

    fn rotate(
        &mut self,
        token: TokenHash,
        next: NewToken,
        now: Timestamp,
        told: &(dyn Fn(UserId, DeviceId) -> NewEntry + Send + Sync),
    ) -> Rotation {
        let Some(held) = self.tokens.get_mut(&token) else { return Rotation::Unknown };
        let id = held.device;
        let Some(device) = self.devices.get_mut(&id) else { return Rotation::Unknown };
        if held.used {
            let user = device.user;
            let entry = self.revoke(id, now, |device| told(device.user, device.id));
            return Rotation::Reused { user, device: id, entry };
        }
        if device.revoked.is_some() || held.expires <= now {
            return Rotation::Void;
        }
        held.used = true;
        device.last_seen = now;
        let seen = device.clone();
        self.tokens.retain(|_, token| token.device != id || token.expires > now);
        self.tokens.insert(next.hash, Token { device: id, expires: next.expires, used: false });
        Rotation::Done(seen)
    }
}

#[async_trait]
impl AccountStore for Model {
    async fn create_users(&self, users: Vec<Credentials>) -> Result<Vec<Created>, Unavailable> {
        let mut state = self.state()?;
        Ok(users.into_iter().map(|user| state.create(user)).collect())
    }

    async fn credentials(&self, user_name: &str) -> Result<Option<Credentials>, Unavailable> {
        Ok(self.state()?.users.values().find(|user| user.user.user_name == user_name).cloned())
    }

    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>, Unavailable> {
        let wanted = &ids[..ids.len().min(1_000)];
        let state = self.state()?;
        Ok(state.users.values().filter(|user| wanted.contains(&user.user.id)).map(|user| user.user.clone()).collect())
    }

    async fn find_users(&self, part: &str, limit: usize) -> Result<Vec<User>, Unavailable> {
        let part = part.to_lowercase();
        let found = |name: &str| part.chars().count() >= 3 && name.to_lowercase().contains(&part);
        let state = self.state()?;
        let users = state.users.values().map(|user| &user.user);
        Ok(users.filter(|user| found(&user.user_name) || found(&user.display_name)).take(limit).cloned().collect())
    }

    async fn log_in(&self, device: Device, token: NewToken) -> Result<(), Unavailable> {
        let mut state = self.state()?;
        state.tokens.insert(token.hash, Token { device: device.id, expires: token.expires, used: false });
        state.devices.insert(device.id, device);
        Ok(())
    }

    async fn device(&self, id: DeviceId) -> Result<Option<Device>, Unavailable> {
        self.devices_asked.fetch_add(1, Ordering::SeqCst);
        Ok(self.state()?.devices.get(&id).cloned())
    }

    async fn devices(&self, user: UserId, limit: usize) -> Result<Vec<Device>, Unavailable> {
        let state = self.state()?;
        let theirs = state.devices.values().rev().filter(|device| device.user == user && device.revoked.is_none());
        Ok(theirs.take(limit).cloned().collect())
    }

    async fn rotate(
        &self,
        token: TokenHash,
        next: NewToken,
        now: Timestamp,
        told: &(dyn Fn(UserId, DeviceId) -> NewEntry + Send + Sync),
    ) -> Result<Rotation, Unavailable> {
        Ok(self.state()?.rotate(token, next, now, told))
    }

    async fn revoke(
        &self,
        user: UserId,
        device: DeviceId,
        now: Timestamp,
        told: NewEntry,
    ) -> Result<Option<u64>, Unavailable> {
        let mut state = self.state()?;
        let theirs = state.devices.get(&device).is_some_and(|device| device.user == user);
        Ok(if theirs { state.revoke(device, now, |_| told) } else { None })
    }

    async fn revoked_after(&self, after: u64, limit: usize) -> Result<Vec<(u64, DeviceId)>, Unavailable> {
        let state = self.state()?;
        Ok(state.revocations.range(after + 1..).take(limit).map(|(&number, &device)| (number, device)).collect())
    }

    async fn newest_revocation(&self) -> Result<u64, Unavailable> {
        Ok(self.state()?.revocations.keys().next_back().copied().unwrap_or_default())
    }

    async fn outbox_lead(&self) -> Result<Option<Box<dyn OutboxLead>>, Unavailable> {
        drop(self.state()?);
        let taken = Arc::clone(&self.lead.lock());
        let free = !taken.swap(true, Ordering::SeqCst);
        Ok(free.then(|| Box::new(ModelLead { taken }) as Box<dyn OutboxLead>))
    }

    async fn outbox_take(&self, after: u64, limit: usize) -> Result<Vec<OutboxEntry>, Unavailable> {
        let state = self.state()?;
        let waiting = state.outbox.range(after + 1..).take(limit);
        Ok(waiting.map(|(&number, entry)| OutboxEntry { number, entry: entry.clone() }).collect())
    }

    async fn outbox_done(&self, numbers: &[u64]) -> Result<(), Unavailable> {
        self.state()?.outbox.retain(|number, _| !numbers.contains(number));
        Ok(())
    }

    async fn reserve(
        &self,
        number: u16,
        holder: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Reservation, Unavailable> {
        let mut state = self.state()?;
        let (from, until) = match state.reservations.get(&number) {
            None => (Timestamp(0), until),
            Some((held_by, from, end)) if held_by == holder => (*from, until.max(*end)),
            Some((_, _, end)) if *end <= now => (*end, until),
            Some((_, _, end)) => return Ok(Reservation::Taken { until: *end }),
        };
        state.reservations.insert(number, (holder.into(), from, until));
        Ok(Reservation::Held { from, until })
    }

    async fn signing_keys(&self, first: SigningKey) -> Result<Vec<SigningKey>, Unavailable> {
        let mut state = self.state()?;
        if state.keys.is_empty() {
            state.keys.push(first);
        }
        Ok(state.keys.clone())
    }
}
