//! The seeded simulation: the real cores of client, session, owner, fan-out, archive and reads in one
//! thread under virtual time, in a world that delays, loses, repeats, pauses and kills. A seed is the
//! whole run; after the faults everything is healed, comes to rest, and is checked against G1–G4.
//!
//! | module | owns |
//! |---|---|
//! | [`plan`] | what a seed decides before anything happens |
//! | [`fault`], [`mutation`] | what breaks; what is done wrong on purpose |
//! | [`rng`] | the only source of chance |
//! | [`world`] | the queue of what happens next |
//! | `faults`, `appends` | faults as they happen; the log's good and bad answers |
//! | `cluster`, `maps` | who is up and who owns what, and how everybody hears of it |
//! | `network`, `node`, `owning`, `greeting`, `session`, `fetch`, `gateway`, `historian`, `fanout`, `archive`, `device`, `disk`, `paging`, `user` | shells around the real cores |
//! | `readers`, `wrong` | where mutations bend what cores are given and what they do |
//! | [`log`] | the simulated log |
//! | [`view`] | what a device's user sees |
//! | [`oracle`] | what the log means, judged a second time |
//! | [`check`] | what must hold |
//! | `record` | what devices did and saw, for the checker |
//! | [`story`] | what happened, counted and told |
//! | [`runner`] | many seeds on all cores |

mod appends;
mod archive;
pub mod check;
mod cluster;
mod device;
mod disk;
mod fanout;
pub mod fault;
mod faults;
mod fetch;
mod gateway;
mod greeting;
mod historian;
pub mod log;
mod maps;
pub mod mutation;
mod network;
mod node;
pub mod oracle;
mod owning;
mod paging;
pub mod plan;
mod readers;
mod record;
pub mod rng;
pub mod runner;
mod session;
pub mod story;
mod telling;
mod user;
pub mod view;
pub mod world;
mod wrong;

use plan::{Case, Plan};
use world::World;

/// Runs a case. `telling` keeps every line of the story, for replays.
#[must_use]
pub fn run(case: Case, telling: bool) -> World {
    let (plan, rng) = Plan::of(case);
    let mut world = World::new(plan, rng, telling);
    world.run();
    world
}
