//! A flood is checked in one go: each device goes on from where its last sync and mark ended.

use volery_checker::examine;
use volery_checker::history::History;

use crate::sending::Fate;
use crate::world::{World, user};

/// Two users with a device each, who talk and reconnect after each word.
fn chatter(words: u32) -> History {
    let mut world = World::new(&[0, 1]);
    for _ in 0..words {
        for n in 0..2 {
            world.connect(n);
            world.say(n, user(1 - n));
            world.send(n, Fate::Accepted, false);
            world.fan_out(usize::MAX);
            world.deliver(n, usize::MAX);
        }
    }
    world.come_to_rest();
    world.history
}

#[test]
fn a_sync_asks_for_what_is_new_only() {
    for words in [10, 100] {
        let history = chatter(words);
        let report = examine(&history);
        assert_eq!(report.violations, vec![]);
        assert!(report.summary.syncs >= 2 * words as usize, "{}", report.summary);
        // Each device is asked for each message once, however often it reconnects.
        assert!(report.summary.required <= 4 * words as usize, "{}", report.summary);
    }
}
