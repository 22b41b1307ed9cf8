//! Many users at once, from JSON lines with PHC hashes: what operators bring from elsewhere, and what
//! load tests begin with.
//!
//! ```json
//! {"user_name": "ada", "display_name": "Ada", "password_hash": "$argon2id$v=19$…", "id": "123"}
//! ```
//! `display_name` and `id` may be missing. A line that cannot be taken is reported with its number and
//! stops nothing; the others are written a thousand in a transaction. Memory is bounded by the batch
//! and the longest line. A line with an id may be imported again: it is there already, and counted so.

use serde::Deserialize;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};
use volery_kernel::generator::Refused;
use volery_kernel::id::UserId;
use volery_kernel::time::Timestamp;
use volery_ports::ids::Ids;
use volery_ports::sql::{AccountStore, Created, Credentials, Unavailable, User};

use crate::{names, password};

/// Users written in one transaction.
const BATCH: usize = 1_000;
/// Longest line in bytes.
const LINE_BYTES: usize = 8_192;

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Lines read, empty ones too.
    pub lines: u64,
    /// Users that are there now.
    pub written: u64,
    /// Lines that were not taken.
    pub failed: u64,
}

/// What the caller is told on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// A batch is durable.
    Written(Imported),
    /// A line was not taken.
    Failed {
        /// From 1.
        line: u64,
        /// Why.
        reason: &'a str,
    },
}

/// Why an import ended early. Everything counted as written is there.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The input cannot be read.
    #[error("the file cannot be read after line {}: {error}", so_far.lines)]
    Read {
        /// Until then.
        so_far: Imported,
        /// Why.
        error: std::io::Error,
    },
    /// The store is away.
    #[error("{error} ({} users are written, up to line {})", so_far.written, so_far.lines)]
    Unavailable {
        /// Until then.
        so_far: Imported,
        /// Why.
        error: Unavailable,
    },
    /// No ids can be taken.
    #[error("{error} ({} users are written, up to line {})", so_far.written, so_far.lines)]
    NoIds {
        /// Until then.
        so_far: Imported,
        /// Why.
        error: Refused,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    user_name: String,
    display_name: Option<String>,
    password_hash: String,
    id: Option<String>,
}

/// Imports users from JSON lines; `report` is called for each failed line and each written batch.
///
/// # Errors
/// [`ImportError`] if it cannot go on. Lines that are wrong are no such error.
pub async fn import_users(
    store: &dyn AccountStore,
    ids: &dyn Ids,
    now: Timestamp,
    input: impl AsyncBufRead + Unpin,
    report: &mut (dyn FnMut(Progress<'_>) + Send),
) -> Result<Imported, ImportError> {
    let mut import = Import { store, ids, now, report, so_far: Imported::default(), batch: Vec::new() };
    let mut input = input.take(0);
    let mut line = Vec::new();
    loop {
        line.clear();
        input.set_limit(LINE_BYTES as u64 + 1);
        let read = input.read_until(b'\n', &mut line).await;
        match read.map_err(|error| ImportError::Read { so_far: import.so_far, error })? {
            0 => break,
            length if length > LINE_BYTES => {
                skip_line(&mut input, &mut line)
                    .await
                    .map_err(|error| ImportError::Read { so_far: import.so_far, error })?;
                import.too_long();
            }
            _ => import.line(&line).await?,
        }
    }
    import.write().await?;
    Ok(import.so_far)
}

/// Reads on to the end of a line without keeping it.
async fn skip_line<R: AsyncBufRead + Unpin>(input: &mut tokio::io::Take<R>, line: &mut Vec<u8>) -> std::io::Result<()> {
    while line.last() != Some(&b'\n') {
        line.clear();
        input.set_limit(LINE_BYTES as u64);
        if input.read_until(b'\n', line).await? == 0 {
            break;
        }
    }
    Ok(())
}

struct Import<'a> {
    store: &'a dyn AccountStore,
    ids: &'a dyn Ids,
    now: Timestamp,
    report: &'a mut (dyn FnMut(Progress<'_>) + Send),
    so_far: Imported,
    batch: Vec<(u64, Credentials)>,
}

impl Import<'_> {
    async fn line(&mut self, line: &[u8]) -> Result<(), ImportError> {
        self.so_far.lines += 1;
        let line = line.trim_ascii();
        if line.is_empty() {
            return Ok(());
        }
        match parse(line) {
            Err(reason) => self.fail(self.so_far.lines, &reason),
            Ok((credentials, id)) => {
                let id = match id {
                    Some(id) => id,
                    None => self.new_id()?,
                };
                let user = User { id, created: self.now, ..credentials.user };
                self.batch.push((self.so_far.lines, Credentials { user, ..credentials }));
            }
        }
        if self.batch.len() >= BATCH { self.write().await } else { Ok(()) }
    }

    fn too_long(&mut self) {
        self.so_far.lines += 1;
        self.fail(self.so_far.lines, "the line is longer than 8 KiB");
    }

    fn new_id(&self) -> Result<UserId, ImportError> {
        self.ids.take().map(UserId).map_err(|error| ImportError::NoIds { so_far: self.so_far, error })
    }

    fn fail(&mut self, line: u64, reason: &str) {
        self.so_far.failed += 1;
        (self.report)(Progress::Failed { line, reason });
    }

    async fn write(&mut self) -> Result<(), ImportError> {
        let (lines, users): (Vec<_>, Vec<_>) = std::mem::take(&mut self.batch).into_iter().unzip();
        let created = self.store.create_users(users).await;
        let created = created.map_err(|error| ImportError::Unavailable { so_far: self.so_far, error })?;
        for (line, created) in lines.into_iter().zip(created) {
            match created {
                Created::Done => self.so_far.written += 1,
                Created::NameTaken => self.fail(line, "somebody has this user_name"),
                Created::IdTaken => self.fail(line, "somebody has this id"),
            }
        }
        (self.report)(Progress::Written(self.so_far));
        Ok(())
    }
}

/// The user that a line describes, and the id if it names one.
fn parse(line: &[u8]) -> Result<(Credentials, Option<UserId>), String> {
    let Line { user_name, display_name, password_hash, id } =
        serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let meaning = |field: &'static str| move |code: volery_kernel::code::Code| format!("{field}: {}", code.meaning());
    names::user_name(&user_name).map_err(meaning("user_name"))?;
    let display_name = names::display_name(display_name.as_deref().unwrap_or(&user_name));
    let display_name = display_name.map_err(meaning("display_name"))?;
    password::is_checkable(&password_hash)?;
    let id = id.map(|id| id.parse::<UserId>().map_err(|error| format!("id: {error}"))).transpose()?;
    if id.is_some_and(|id| id.get() == 0) {
        return Err("id: 0 is nobody's".into());
    }
    let user = User { id: UserId::default(), user_name, display_name, created: Timestamp::default() };
    Ok((Credentials { user, password_hash }, id))
}
