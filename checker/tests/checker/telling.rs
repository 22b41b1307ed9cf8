//! What a person reads.

use volery_checker::check;
use volery_checker::violation::Promise;

use crate::scene::{Wrong as _, scene};

fn told(promise: Promise, put_wrong: impl FnOnce(&mut volery_checker::history::History)) -> String {
    let mut history = scene();
    put_wrong(&mut history);
    let violations = check(&history);
    let first = violations.iter().find(|violation| violation.promise == promise).expect("a violation");
    first.tell(&history)
}

#[test]
fn a_lost_message_is_told_from_its_wish_to_its_absence() {
    let told = told(Promise::G1, |history| {
        let id = history.id("d0.6");
        history.timeline().1.retain(|row| row.id != id);
    });
    assert_eq!(
        told,
        "G1: d0.6 (id 1012) was acknowledged and does not stand in direct:7:8
      0.010400 s  d0      wants d0.6 in direct:7:8: a message, after it showed id 1008
      0.010500 s  d0      sends d0.6 as number 4 of session 1009
      0.010600 s  d0      is told that number 4 of session 1009 is id 1012, source 281474976710666
      0.016300 s  d0      reads all of direct:7:8: 5 messages
"
    );
}

#[test]
fn a_sync_that_lacks_a_message_is_told_with_its_hello() {
    let told = told(Promise::G4, |history| {
        let at = history.showed(1, "d0.6");
        history.steps.remove(at);
    });
    assert_eq!(
        told,
        "G4: d1 is told synced and lacks d0.6 (id 1012), which its stream held before its hello
      0.010400 s  d0      wants d0.6 in direct:7:8: a message, after it showed id 1008
      0.010600 s  d0      is told that number 4 of session 1009 is id 1012, source 281474976710666
      0.011200 s  d0      shows d0.6 as id 1012 of direct:7:8, from user 7, source 281474976710666, from its stream
      0.011800 s  d1      says hello, without a position
      0.012000 s  d1      is reset
      0.012700 s  d1      is told synced
"
    );
}
