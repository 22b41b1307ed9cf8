//! Roles in processes of their own, and the engines below them, that stand still for longer than anybody waits and
//! then go on: each in turn, under a load. A process that stands still closes nothing, so only deadlines tell it
//! from one that works; and one that wakes must do no harm with what it believed before.

use std::time::Duration;

use volery_testkit::engine::Engine;

use super::ground::Ground;
use super::kit::now;
use super::probes::{MESSAGING, Probes, has_everything, share};
use super::role::Role;
use super::visitor::{ACCOUNTS, HISTORY, Visitor};
use super::{RATE, alone, chat_at_while};

/// Longer than calls between roles, appends, statements and leases have.
const STILL_FOR: Duration = Duration::from_secs(8);
/// How many partitions the cluster has.
const PARTITIONS: f64 = 16.0;

/// What can be stopped where it is.
trait Holds {
    fn pause(&self);
    fn proceed(&self);
}

impl Holds for Role {
    fn pause(&self) {
        self.signal("-STOP");
    }

    fn proceed(&self) {
        self.signal("-CONT");
    }
}

impl Holds for Engine {
    fn pause(&self) {
        Self::pause(self);
    }

    fn proceed(&self) {
        Self::proceed(self);
    }
}

/// Holds these at once, looks what is missing, and lets them go on.
fn held(what: &str, those: &[&dyn Holds], visitor: &Visitor, missing: impl FnOnce()) {
    println!("held: {what}");
    those.iter().for_each(|one| one.pause());
    let begun = now();
    missing();
    println!("  looked at for {:?}", now() - begun);
    std::thread::sleep(STILL_FOR.saturating_sub(now() - begun));
    those.iter().for_each(|one| one.proceed());
    let woken = now();
    visitor.is_served();
    println!("  served again after {:?}", now() - woken);
}

#[test]
fn promises_hold_while_roles_and_engines_stand_still_one_after_the_other() {
    let _alone = alone();
    let Some(ground) = Ground::new("promises_hold_while_roles_and_engines_stand_still_one_after_the_other") else {
        return;
    };
    let idgen = Role::start(&["idgen"], &ground.settings);
    let numbers = format!("idgen.nodes={}", idgen.url("idgen"));
    let account = Role::start(&["account"], &ground.with(std::slice::from_ref(&numbers)));
    let configs = [(); 2].map(|()| Role::start(&["config"], &ground.settings));
    let maps = format!("config.nodes={},{}", configs[0].url("config"), configs[1].url("config"));
    let history = Role::start(&["history"], &ground.with(std::slice::from_ref(&maps)));
    let asked = [
        numbers,
        format!("accounts.nodes={}", account.url("account")),
        format!("history.nodes={}", history.url("history")),
        maps,
    ];
    let named = |name: &str| ground.with(&[asked.as_slice(), &[format!("messaging.name={name}")]].concat());
    let nodes = ["left", "right"].map(|name| Role::start(&["messaging"], &named(name)));
    let probes = [Probes::of(&nodes[0]), Probes::of(&nodes[1])];
    let gateway = Role::start(&["gateway"], &ground.with(&asked));
    let (url, users) = (gateway.url("gateway").to_owned(), ground.users());
    let visitor = Visitor::new(&url);
    let lacks = |log_ins, reads| visitor.finds(log_ins, reads);
    chat_at_while(&url, &users, RATE, || {
        held("history", &[&history], &visitor, || lacks("", HISTORY));
        held("account", &[&account], &visitor, || lacks(ACCOUNTS, ""));
        // Nobody but the other config-node can give its partitions away.
        let those: [&dyn Holds; 4] = [&ground.redis, &idgen, &configs[0], &nodes[0]];
        held("Redis, idgen, one of two config, one of two messaging", &those, &visitor, || {
            has_everything(&probes[1], MESSAGING, PARTITIONS);
            visitor.is_served();
        });
        share(&probes, MESSAGING, PARTITIONS);
        probes[0].has_its_lease();
        // Whoever asks it waits for an answer as long.
        held("gateway", &[&gateway], &visitor, || ());
        held("Kafka", &[&ground.kafka], &visitor, || visitor.is_served());
        held("Cassandra", &[&ground.cassandra], &visitor, || lacks("", HISTORY));
        held("PostgreSQL", &[&ground.postgres], &visitor, || lacks(ACCOUNTS, ""));
    });
}
