//! Who this device is: its tokens, kept in the account's folder before they are used.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::api::{Api, ApiError, Grant};
use crate::state::State;
use crate::store::{FileStore, Folder, Store as _, StoreError};

const NAME: &str = "account.json";
/// The reason shown for what an earlier device had sent without hearing what became of it.
pub const DEVICE_CHANGED: &str = "device_changed";

/// Why no account could be opened.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// This device holds no tokens: a password is needed.
    #[error("log in with a password")]
    PasswordNeeded,
    /// The gateway's answer.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The account's folder.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<io::Error> for AccountError {
    fn from(error: io::Error) -> Self {
        Self::Store(error.into())
    }
}

/// An account on this machine, locked against other processes.
#[derive(Debug)]
pub struct Account {
    folder: Arc<Folder>,
    /// The newest tokens.
    pub grant: Grant,
}

impl Account {
    /// The device that is logged in, or a new one if there is a password.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn open(
        home: PathBuf,
        gateway: &str,
        api: &Api,
        user_name: &str,
        password: Option<&str>,
    ) -> Result<Self, AccountError> {
        let folder = Arc::new(Folder::open(&home, gateway, user_name)?);
        match std::fs::read(folder.file(NAME)) {
            Ok(bytes) => {
                let damaged = |error: serde_json::Error| StoreError::Damaged {
                    file: NAME.to_owned(),
                    line: error.line(),
                    detail: error.to_string(),
                };
                let grant = serde_json::from_slice(&bytes).map_err(damaged)?;
                Ok(Self { folder, grant })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let password = password.ok_or(AccountError::PasswordNeeded)?;
                let grant = api.log_in(user_name, password, "terminal").await?;
                let account = Self { folder, grant };
                account.adopt()?;
                account.save()?;
                Ok(account)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What the device keeps.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn store(&self) -> Result<FileStore, StoreError> {
        FileStore::open(Arc::clone(&self.folder))
    }

    /// New tokens of the same device.
    ///
    /// # Errors
    /// What the file system says.
    pub fn renew(&mut self, grant: Grant) -> io::Result<()> {
        self.grant = grant;
        self.save()
    }

    /// The device is logged out: its tokens are worth nothing. What was queued stays for the next one.
    ///
    /// # Errors
    /// What the file system says.
    pub fn forget(&self) -> io::Result<()> {
        self.folder.remove(NAME)
    }

    fn save(&self) -> io::Result<()> {
        self.folder.replace(NAME, &serde_json::to_vec_pretty(&self.grant)?)
    }

    /// What an earlier device left: it goes on with what was never sent, and says so of the rest.
    fn adopt(&self) -> Result<(), StoreError> {
        let mut store = self.store()?;
        let changes = store.state().for_new_device(DEVICE_CHANGED);
        FileStore::forget(&self.folder)?;
        store = self.store()?;
        store.keep(changes)
    }
}

impl State {
    /// The changes that make a new device's state out of this one.
    fn for_new_device(self, reason: &str) -> Vec<crate::state::Change> {
        use crate::state::Change;
        let failed = |code: String, local| Change::Failed { local, code };
        let changes = self.outbox.into_iter().flat_map(|(local, kept)| {
            let code = kept.failed.or_else(|| kept.key.map(|_| reason.to_owned()));
            [Some(Change::Wanted(kept.intent)), code.map(|code| failed(code, local))]
        });
        changes.flatten().collect()
    }
}
