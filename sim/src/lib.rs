//! The seeded simulation: the real cores of client, session, owner, fan-out, archive and reads in one
//! thread under virtual time, in a world that delays, loses, repeats, pauses and kills. A seed is the
//! whole run; after the faults everything is healed, comes to rest, and is checked against G1–G4.
//!
//! | module | owns |
//! |---|---|
//! | [`plan`] | what a seed decides before anything happens; the mutations |
//! | [`rng`] | the only source of chance |
//! | [`world`] | the queue of what happens next, faults, appends |
//! | `network`, `node`, `fetch`, `history`, `device` | shells around the real cores |
//! | [`log`] | the simulated log |
//! | [`view`] | what a device's user sees |
//! | [`oracle`] | what the log means, judged a second time |
//! | [`check`] | what must hold |
//! | [`story`] | what happened, counted and told |

pub mod check;
mod device;
mod fetch;
mod history;
pub mod log;
mod network;
mod node;
pub mod oracle;
pub mod plan;
pub mod rng;
pub mod story;
pub mod view;
pub mod world;

use plan::{Mutation, Plan};
use world::World;

/// Runs a seed. `telling` keeps every line of the story, for replays.
#[must_use]
pub fn run(seed: u64, mutation: Option<Mutation>, telling: bool) -> World {
    let (plan, rng) = Plan::of(seed, mutation);
    let mut world = World::new(plan, rng, telling);
    world.run();
    world
}
