//! What operators look at and change: commands that ask and answer, and the import of users.
//!
//! | module | owns |
//! |---|---|
//! | `command` | how they are typed |
//! | `desk` | whom they ask: config-nodes, or the store |
//! | `nodes`, `settings`, `users` | what they answer |
//! | `orders` | what nodes are told to do, and how far they are |
//! | `lag`, `page` | how far readers are behind, as every process measures it |
//! | `show` | tables and JSON |

mod command;
mod desk;
mod lag;
mod nodes;
mod orders;
mod page;
mod settings;
mod show;
mod users;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use idgen::{ClockedIds, Office, Reserved};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::io::{AsyncBufRead, BufReader};
use volery_account::{Imported, Progress, import_users as import};
use volery_kernel::time::Clock;
use volery_node::clock::SystemClock;
use volery_node::config::Config;

use crate::Failure;
use crate::engines::OpenStore;
use crate::numbers::holder;

pub(crate) use command::{command, run};

/// Imports a file of users, with progress; bad lines are named and left out. May run beside `volery up`.
pub(crate) fn import_users(config: &Config, file: &Path) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let imported = runtime.block_on(import_file(config, file))?;
    let Imported { lines, written, failed } = imported;
    println!("{written} users imported from {lines} lines; {failed} lines were left out");
    if failed > 0 { Err(Failure(format!("{failed} lines were left out"))) } else { Ok(()) }
}

async fn import_file(config: &Config, file: &Path) -> Result<Imported, Failure> {
    std::fs::create_dir_all(&config.data_dir)?;
    let store = OpenStore::open(config).await?.accounts;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let office = Office::new(Arc::clone(&store), Arc::clone(&clock));
    let reserved = Reserved::take(Arc::new(office), holder()?, 1).await?;
    let generator = reserved.generators().first().cloned().ok_or(Failure("no generator".to_owned()))?;
    let ids = ClockedIds::new(generator, Arc::clone(&clock));
    let renewing = tokio::spawn(reserved.renew(Arc::clone(&clock)));
    let bar = ProgressBar::new_spinner()
        .with_style(ProgressStyle::with_template("{spinner} {pos} users, {per_sec}, {elapsed}")?);
    bar.enable_steady_tick(Duration::from_millis(200));
    let mut report = |progress: Progress<'_>| match progress {
        Progress::Written(so_far) => bar.set_position(so_far.written),
        Progress::Failed { line, reason } => bar.suspend(|| eprintln!("line {line}: {reason}")),
    };
    let imported = import(store.as_ref(), &ids, clock.now(), open(file).await?, &mut report).await?;
    bar.finish_and_clear();
    renewing.abort();
    Ok(imported)
}

async fn open(file: &Path) -> Result<Box<dyn AsyncBufRead + Unpin + Send>, Failure> {
    let file = if file == Path::new("-") { Path::new("/dev/stdin") } else { file };
    let opened = tokio::fs::File::open(file)
        .await
        .map_err(|error| Failure(format!("{} cannot be read: {error}", file.display())))?;
    Ok(Box::new(BufReader::new(opened)))
}
