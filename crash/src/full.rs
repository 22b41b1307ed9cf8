//! A disk without room: sends are refused, everything else goes on; with room again everything heals
//! by itself, in the same process.

use std::time::Duration;

use loadtest::clock;
use loadtest::failure::Failure;
use loadtest::fleet::Fleet;
use loadtest::server::Setup;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::campaign::{Plan, judge, rest, target_at};
use crate::crowd::{Crowd, Sizes};
use crate::disk::SmallDisk;
use crate::report::Report;
use crate::story;
use crate::victim::Victim;

/// Enough for what is written before the disk is filled and after there is room again.
const DISK_MIB: usize = 96;
/// Messages acknowledged before the disk is filled, and after there is room again.
const TALK: u64 = 1_000;
/// Sends refused before others come.
const REFUSED_LEAST: u64 = 20;
/// And after that, while everybody tries again and again.
const REFUSED_LONG: u64 = 100;
/// New devices that come meanwhile.
const NEWCOMERS: usize = 4;
const WITHIN: Duration = Duration::from_secs(60);
/// What a full disk is called.
const CODE: &str = "log_full";

/// How often each writer tops up its window, in ms: what they write must not fill the disk by itself.
const EVERY_MS: u64 = 250;

/// Does it.
///
/// # Errors
/// A sentence: nothing can be mounted, sends were not refused, something does not heal.
pub async fn run(plan: &Plan) -> Result<Report, Failure> {
    let disk = SmallDisk::mount(DISK_MIB)
        .map_err(|error| Failure(format!("skipped: no file system can be mounted here ({error}); it takes root")))?;
    let (begun, sizes) = (clock::nanos(), Sizes { every_ms: Some(EVERY_MS), ..plan.sizes });
    let mut rng = StdRng::seed_from_u64(plan.seed);
    let setup = Setup { data: Some(disk.path().to_owned()), ..plan.setup(sizes.users()) };
    let victim = Victim::start(setup, &mut rng)?;
    let mut report = Report::new("full disk", plan.seed, sizes);
    let target = target_at(victim.server().gateway())?;
    let name = format!("{} of seed {}", report.what, plan.seed);
    let crowd = Crowd::gather(target.gateway(), &target, 0..sizes.users(), sizes, name).await?;
    let (breaks, notes) = crowd.live(fill_and_heal(&disk, &crowd)).await?;
    let mut history = rest(&crowd).await?;
    story::place(&mut history, breaks);
    let verdict = judge(&history, plan.history.as_deref(), plan.seed, 0)?;
    report.add(Vec::new(), crowd.fleet().tally().acked, verdict);
    report.notes = notes;
    report.seconds = clock::since(begun).as_secs_f64();
    Ok(report)
}

/// Devices on which nobody was before come, and read all of their chats: on a disk that is full.
async fn newcomers(crowd: &Crowd<'_>) -> Result<(), Failure> {
    let (fleet, devices) = (crowd.fleet(), crowd.spare().take(NEWCOMERS));
    let pages = fleet.tally().pages;
    devices.clone().for_each(|device| fleet.start(device));
    let read = |device: usize| fleet.look(device, |app| app.view().chats().iter().any(|chat| chat.timeline.has_all()));
    let missing = || devices.clone().filter(|device| !fleet.is_synced(*device) || !read(*device)).count();
    fleet.until("new devices have not read their chats on a full disk", WITHIN, missing).await?;
    match fleet.tally().pages - pages {
        0 => Err(Failure("no page was read on a full disk".to_owned())),
        _ => Ok(()),
    }
}

type Told = (Vec<(u64, String)>, Vec<String>);

async fn fill_and_heal(disk: &SmallDisk, crowd: &Crowd<'_>) -> Result<Told, Failure> {
    let fleet = crowd.fleet();
    more(fleet, "messages to come", TALK, |fleet| fleet.tally().acked).await?;
    let full_at = crowd.now();
    let filler = disk.fill()?;
    more(fleet, "sends to be refused", REFUSED_LEAST, refused).await?;
    newcomers(crowd).await?;
    more(fleet, "sends to be refused for long", REFUSED_LONG, refused).await?;
    let (meanwhile, room_at) = (refused(fleet), crowd.now());
    disk.make_room()?;
    let begun = clock::nanos();
    crowd.back(crowd.open(), WITHIN).await?;
    let synced = clock::since(begun);
    more(fleet, "messages to come with room again", TALK, |fleet| fleet.tally().acked).await?;
    let notes = vec![
        format!("a filler of {filler} bytes; full for {} ms, {meanwhile} times {CODE}", (room_at - full_at) / 1_000),
        format!(
            "all synced {} ms after there was room, {TALK} more messages after {} ms, without a restart",
            synced.as_millis(),
            clock::since(begun).as_millis()
        ),
    ];
    Ok((vec![(full_at, "the disk is full".to_owned()), (room_at, "there is room".to_owned())], notes))
}

fn refused(fleet: &Fleet) -> u64 {
    fleet.tally().errors.get(CODE).copied().unwrap_or_default()
}

/// Waits until a count has grown by so many.
async fn more(fleet: &Fleet, what: &str, by: u64, count: impl Fn(&Fleet) -> u64) -> Result<(), Failure> {
    let least = count(fleet) + by;
    fleet.until(what, WITHIN, || least.saturating_sub(count(fleet)) as usize).await
}
