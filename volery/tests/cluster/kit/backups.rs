//! People who chat while what is stored is copied in the order of `docs/operations.md`, each later than the one before,
//! then all of it is lost and put back. What had been said before the log was copied must be there, by the checker's
//! word; who logged in before the accounts were copied is still in.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
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

/// What is stored: `timeline`, `log` and `accounts`. The server's folder is at hand, and nobody has it open.
pub(crate) trait Stored: Send + Sync + 'static {
    fn copy(&self, name: &str, folder: &Path) -> Result<(), Failure>;

    /// From now on nothing is there but what was copied.
    fn put_back(&self, folder: &Path) -> Result<(), Failure>;
}

/// A copy of a file or a folder.
pub(crate) fn cp(from: &Path, to: &Path) -> Result<(), Failure> {
    let copied = Command::new("cp").arg("-a").args([from, to]).status()?.success();
    copied.then_some(()).ok_or_else(|| Failure(format!("{} was not copied", from.display())))
}

/// They write to each other for a while, and come to rest.
async fn talk(fleet: &Fleet, accounts: &[Account]) -> Result<(), Failure> {
    let least = fleet.tally().acked + TALK;
    set_going(fleet, accounts, Drive::Rate(RATE));
    fleet.until("messages to come", WITHIN, || least.saturating_sub(fleet.tally().acked) as usize).await?;
    fleet.quiet();
    fleet.settle(WITHIN).await
}

async fn copied(victim: Victim, stored: &Arc<impl Stored>, name: &'static str) -> Result<Victim, Failure> {
    let stored = Arc::clone(stored);
    victim.started_again_after(move |folder| stored.copy(name, folder)).await
}

async fn play(settings: Vec<String>, stored: &Arc<impl Stored>) -> Result<Verdict, Failure> {
    let setup = Setup { binary: env!("CARGO_BIN_EXE_volery").into(), settings, ..Setup::new(PEOPLE) };
    let mut rng = StdRng::seed_from_u64(u64::from(std::process::id()));
    let victim = Victim::start(setup, &mut rng)?;
    let accounts = victim.server().log_in(0..PEOPLE).await?;
    let mut fleet = Fleet::new(victim.server().gateway(), TEXT, Some("restored".to_owned()))?;
    for account in &accounts {
        fleet.add(account.clone());
    }
    fleet.start_all(WITHIN, |_| {}).await?;

    talk(&fleet, &accounts).await?;
    let victim = copied(victim, stored, "timeline").await?;
    talk(&fleet, &accounts).await?;
    let victim = copied(victim, stored, "log").await?;
    let late = victim.server().log_in(0..1).await?;
    let victim = copied(victim, stored, "accounts").await?;

    let back = Arc::clone(stored);
    let victim = victim.started_again_after(move |folder| back.put_back(folder)).await?;
    victim.server().reaches(ARCHIVED, TALK, WITHIN).await?;
    for account in late {
        let device = fleet.add(account);
        fleet.start(device);
    }
    talk(&fleet, &accounts).await?;
    let history = fleet.come_to_rest(WITHIN).await?.ok_or_else(|| Failure("nothing was recorded".to_owned()))?;
    Ok(Verdict::of(&history))
}

/// See the module; the server has these settings.
pub(crate) fn all_comes_back(settings: Vec<String>, stored: impl Stored) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let played = tokio::task::LocalSet::new().block_on(&runtime, play(settings, &Arc::new(stored)));
    let verdict = played.expect("it goes on with what was put back");
    verdict.print();
    assert!(verdict.is_good(), "{}", verdict.sentence());
}
