//! Everything out of backups, while people chat: timeline, log and accounts are copied in the order of
//! `docs/operations.md`, each later than the one before, then all of it is lost and put back. What had been said before
//! the log was copied must be there, by the checker's word; who logged in before the accounts were copied is still in.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use loadtest::account::Account;
use loadtest::failure::Failure;
use loadtest::fleet::Fleet;
use loadtest::load::{Drive, set_going};
use loadtest::server::Setup;
use loadtest::verdict::Verdict;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use volery_crash::victim::Victim;

const PEOPLE: usize = 6;
/// Bytes of a text.
const TEXT: usize = 128;
/// Messages a second, of all of them.
const RATE: u64 = 200;
/// Acknowledged before each copy, and after all is put back.
const TALK: u64 = 100;
const WITHIN: Duration = Duration::from_secs(60);
const ARCHIVED: &str = "volery_messages_total{stage=\"archived\"}";

/// They write to each other for a while, and come to rest.
async fn talk(fleet: &Fleet, accounts: &[Account]) -> Result<(), Failure> {
    let least = fleet.tally().acked + TALK;
    set_going(fleet, accounts, Drive::Rate(RATE));
    fleet.until("messages to come", WITHIN, || least.saturating_sub(fleet.tally().acked) as usize).await?;
    fleet.quiet();
    fleet.settle(WITHIN).await
}

/// Copies what is called like that.
fn copy(from: &Path, to: &Path, name: &str) -> Result<(), Failure> {
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let is_wanted = path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(name));
        if is_wanted && !Command::new("cp").arg("-a").args([path.as_path(), to]).status()?.success() {
            return Err(Failure(format!("{} was not copied", path.display())));
        }
    }
    Ok(())
}

fn copies(backup: &Path, name: &'static str) -> impl FnOnce(&Path) -> Result<(), Failure> + use<> {
    let backup = backup.to_owned();
    move |folder| copy(folder, &backup, name)
}

/// Nothing is left but what was copied.
fn restores(backup: PathBuf) -> impl FnOnce(&Path) -> Result<(), Failure> {
    move |folder| {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() { fs::remove_dir_all(path)? } else { fs::remove_file(path)? }
        }
        ["timeline", "log", "accounts"].iter().try_for_each(|name| copy(&backup, folder, name))
    }
}

async fn play(backup: &Path) -> Result<Verdict, Failure> {
    let setup = Setup { binary: env!("CARGO_BIN_EXE_volery").into(), ..Setup::new(PEOPLE) };
    let mut rng = StdRng::seed_from_u64(u64::from(std::process::id()));
    let victim = Victim::start(setup, &mut rng)?;
    let accounts = victim.server().log_in(0..PEOPLE).await?;
    let mut fleet = Fleet::new(victim.server().gateway(), TEXT, Some("restored".to_owned()))?;
    for account in &accounts {
        fleet.add(account.clone());
    }
    fleet.start_all(WITHIN, |_| {}).await?;

    talk(&fleet, &accounts).await?;
    let victim = victim.started_again_after(copies(backup, "timeline")).await?;
    talk(&fleet, &accounts).await?;
    let victim = victim.started_again_after(copies(backup, "log")).await?;
    let late = victim.server().log_in(0..1).await?;
    let victim = victim.started_again_after(copies(backup, "accounts")).await?;

    let victim = victim.started_again_after(restores(backup.to_owned())).await?;
    victim.server().reaches(ARCHIVED, TALK, WITHIN).await?;
    for account in late {
        let device = fleet.add(account);
        fleet.start(device);
    }
    talk(&fleet, &accounts).await?;
    let history = fleet.come_to_rest(WITHIN).await?.ok_or_else(|| Failure("nothing was recorded".to_owned()))?;
    Ok(Verdict::of(&history))
}

#[test]
fn all_out_of_backups_in_their_order_keeps_what_was_said() {
    let backup = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let played = tokio::task::LocalSet::new().block_on(&runtime, play(backup.path()));
    let verdict = played.expect("it goes on with what was put back");
    verdict.print();
    assert!(verdict.is_good(), "{}", verdict.sentence());
}
