//! What a history cannot tell accuses nobody and is counted.

use volery_checker::history::{History, Step, What};
use volery_checker::{Report, examine};
use volery_kernel::position::Source;

use crate::scene::{Wrong as _, scene};

fn examined(change: impl FnOnce(&mut History)) -> Report {
    let mut history = scene();
    change(&mut history);
    let report = examine(&history);
    let told: String = report.violations.iter().map(|violation| violation.tell(&history)).collect();
    assert_eq!(told, "");
    report
}

#[test]
fn the_whole_scene_is_decided() {
    let summary = examined(|_| {}).summary;
    assert_eq!((summary.timelines, summary.views, summary.undecided), (1, 5, Default::default()));
    assert!(!summary.proves_nothing());
}

#[test]
fn a_chat_that_nobody_read_is_open() {
    let is_timeline = |step: &Step| matches!(step.what, What::Timeline { .. });
    let summary = examined(|history| history.steps.retain(|step| !is_timeline(step))).summary;
    assert_eq!((summary.durable, summary.lines, summary.timelines), (0, 0, 0));
    assert!(summary.undecided.durable > 0 && summary.undecided.lines > 0);
}

#[test]
fn messages_without_a_source_are_open() {
    let summary = examined(|history| {
        for step in &mut history.steps {
            match &mut step.what {
                What::Acked { source, .. } => *source = Source::ZERO,
                What::Showed { row, .. } => row.source = Source::ZERO,
                What::Timeline { rows, .. } | What::View { rows, .. } => {
                    rows.iter_mut().for_each(|row| row.source = Source::ZERO);
                }
                _ => {}
            }
        }
    });
    assert_eq!((summary.summary.undecided.sources, summary.summary.lines), (6, 0));
}

#[test]
fn a_device_that_does_not_run_owes_nothing() {
    let summary = examined(|history| {
        let rest = history.at(|step| matches!(step.what, What::Timeline { .. }));
        history.view(3).1.clear();
        history.insert(rest, 3, What::Stopped);
    });
    assert_eq!((summary.summary.views, summary.summary.undecided.views), (4, 1));
}

#[test]
fn a_restored_device_is_asked_for_nothing_before_its_reset() {
    let summary = examined(|history| {
        let hello = history.last(|step| step.device == 3 && matches!(step.what, What::Hello { .. }));
        history.insert(hello, 3, What::Restored);
    });
    assert_eq!(summary.summary.undecided.syncs, 1);
}

#[test]
fn a_history_without_acknowledgements_proves_nothing() {
    assert!(examine(&History::new("nothing")).summary.proves_nothing());
}
