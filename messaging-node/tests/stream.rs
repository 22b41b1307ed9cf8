//! What a stream tells a device that was caught up and is not any more.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use bytes::Bytes;
use volery_kernel::chat::{ChatId, Recipient};
use volery_kernel::event::{Event, Mark, MarkKind, Record, Seen};
use volery_kernel::id::{DeviceId, Id, SessionNumber, UserId};
use volery_kernel::limits;
use volery_kernel::position::{Position, Source};
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;
use volery_messaging::core::stream::{Follower, Step, Stream};
use volery_messaging::core::tail::Tail;
use volery_messaging::core::window::Window;

fn at_the_beginning(tail: &Tail) -> Stream {
    let (user, device) = (UserId::new(1).unwrap(), DeviceId::new(2).unwrap());
    let who = Follower { user, device, session: SessionNumber(Id::new(3).unwrap()) };
    Stream::new(who, Some(tail.beginning()))
}

fn pump(stream: &mut Stream, tail: &Tail) -> Vec<&'static str> {
    pump_into(&mut Window::default(), stream, tail)
}

fn pump_into(window: &mut Window, stream: &mut Stream, tail: &Tail) -> Vec<&'static str> {
    let mut said = Vec::new();
    stream.pump(tail, window, |_, step| said.push(name(&step)));
    said
}

fn name(step: &Step) -> &'static str {
    match step {
        Step::Synced(..) => "synced",
        Step::Gap => "gap",
        Step::Fetch(_) => "fetch",
        Step::AskEnd => "ask end",
        Step::Reset => "reset",
        Step::Event { .. } | Step::Revoked => "other",
    }
}

/// A loose event may lie behind others that were not sent: a device that still believed to be synced
/// would mark over them.
#[test]
fn a_device_that_was_caught_up_hears_that_history_cannot_be_read() {
    let tail = Tail::new(Partition(0), 1, 0, 1_000);
    let mut stream = at_the_beginning(&tail);
    stream.end_is(0, &tail, &mut Vec::new());
    assert_eq!(pump(&mut stream, &tail), ["synced"]);
    let moved_on = Tail::new(Partition(0), 1, 9, 1_000);
    assert_eq!(pump(&mut stream, &moved_on), ["fetch"]);
    assert_eq!(stream.fetch_failed(&moved_on).as_ref().map(name), Some("gap"));
    assert!(!stream.is_synced());
}

#[test]
fn a_device_that_was_not_caught_up_is_told_nothing() {
    let tail = Tail::new(Partition(0), 1, 9, 1_000);
    let mut stream = at_the_beginning(&tail);
    stream.end_is(9, &tail, &mut Vec::new());
    assert_eq!(pump(&mut stream, &tail), ["fetch"]);
    assert!(stream.fetch_failed(&tail).is_none());
}

/// Else a slow reader that fell behind the tail would believe to be synced while it is not.
#[test]
fn a_window_that_was_filled_out_of_the_index_is_a_gap_as_well() {
    let tail = Tail::new(Partition(0), 1, 0, 1_000);
    let (mut stream, mut window) = (at_the_beginning(&tail), Window::default());
    stream.end_is(0, &tail, &mut Vec::new());
    assert_eq!(pump_into(&mut window, &mut stream, &tail), ["synced"]);
    let moved_on = Tail::new(Partition(0), 1, 9, 1_000);
    assert_eq!(pump_into(&mut window, &mut stream, &moved_on), ["fetch"]);
    window.send(limits::WINDOW_BYTES.value, Some(4), None);
    stream.fetched(5);
    assert!(pump_into(&mut window, &mut stream, &moved_on).is_empty());
    window.confirm(1, |_| {}).unwrap();
    assert_eq!(pump_into(&mut window, &mut stream, &moved_on), ["gap", "ask end", "fetch"]);
    assert!(!stream.is_synced());
}

/// Else its end would move away with each window, and a device that is slower than its friends would never
/// be told `synced`.
#[test]
fn a_full_window_before_synced_is_no_gap_and_moves_no_end() {
    let tail = Tail::new(Partition(0), 1, 9, 1_000);
    let (mut stream, mut window) = (at_the_beginning(&tail), Window::default());
    stream.end_is(9, &tail, &mut Vec::new());
    assert_eq!(pump_into(&mut window, &mut stream, &tail), ["fetch"]);
    window.send(limits::WINDOW_BYTES.value, Some(4), None);
    stream.fetched(5);
    assert!(pump_into(&mut window, &mut stream, &tail).is_empty());
    window.confirm(1, |_| {}).unwrap();
    assert_eq!(pump_into(&mut window, &mut stream, &tail), ["fetch"]);
    stream.fetched(9);
    assert_eq!(pump_into(&mut window, &mut stream, &tail), ["synced"]);
}

/// What was asked for before the stream began anew says nothing of the place where it is now.
#[test]
fn an_answer_from_before_a_resume_passes_over_nothing() {
    let tail = Tail::new(Partition(0), 1, 9, 1_000);
    let mut stream = at_the_beginning(&tail);
    stream.end_is(9, &tail, &mut Vec::new());
    assert_eq!(pump(&mut stream, &tail), ["fetch"]);
    let position = Position { partition: Partition(0), source: Source::new(1, 2), id: Id::new(7).unwrap() };
    stream.resume(position);
    stream.end_is(9, &tail, &mut Vec::new());
    assert_eq!(pump(&mut stream, &tail), ["fetch"]);
    assert!(!stream.awaits_fetch(0));
    assert!(stream.awaits_fetch(3) && !stream.awaits_fetch(3), "once");
}

fn resumed(resume: Position, end: u64, tail: &Tail) -> Vec<&'static str> {
    let mut stream = at_the_beginning(tail);
    let mut steps = vec![stream.resume(resume)];
    stream.end_is(end, tail, &mut steps);
    let mut said: Vec<_> = steps.iter().map(name).collect();
    said.extend(pump(&mut stream, tail));
    said
}

/// A position of a log that lost records, or of another: nothing may be taken for held.
#[test]
fn positions_that_the_log_does_not_have_are_answered_by_reset() {
    let mut tail = Tail::new(Partition(0), 2, 0, 1_000);
    let (id, other) = (Id::new(50).unwrap(), Id::new(51).unwrap());
    let event = Event::Unknown { id, stream: Recipient::User(UserId::new(1).unwrap()), bytes: Bytes::new() };
    for offset in 0..3 {
        tail.push(Record { offset, stamp: Timestamp(1), event: event.clone() });
    }
    let at = |generation, offset, id| Position { partition: Partition(0), source: Source::new(generation, offset), id };
    assert_eq!(resumed(at(2, 2, id), 3, &tail), ["ask end", "synced"]);
    assert_eq!(resumed(at(2, 2, other), 3, &tail), ["ask end", "reset"], "another record is there");
    assert_eq!(resumed(at(2, 3, id), 3, &tail), ["ask end", "reset"], "the log ends before it");
    assert_eq!(resumed(at(1, 2, id), 3, &tail), ["ask end", "reset"], "an earlier log");
    assert_eq!(resumed(at(3, 2, id), 3, &tail), ["ask end", "reset"], "a log that is no more");
    let beginning = |generation| Position::beginning(Partition(0), generation);
    assert_eq!(resumed(beginning(2), 3, &tail), ["ask end", "fetch"], "nothing yet: what the tail dropped is fetched");
    assert_eq!(resumed(beginning(1), 3, &tail), ["ask end", "reset"], "nothing of an earlier log is not nothing");
    assert_eq!(resumed(Position::default(), 3, &tail), ["ask end", "reset"], "nothing of no log");
    let elsewhere = Position { partition: Partition(1), ..at(2, 2, id) };
    assert_eq!(resumed(elsewhere, 3, &tail), ["ask end", "reset"]);
}

/// Pages lack a change whose message is not archived yet: what is not on them comes, though it lies before the position.
#[test]
fn after_a_reset_what_the_tail_holds_comes_again() {
    let mut tail = Tail::new(Partition(0), 1, 0, 100_000);
    let [reader, peer] = [1, 2].map(|user| UserId::new(user).unwrap());
    let (chat, kind, id) = (ChatId::direct(reader, peer), MarkKind::Read, Id::new(50).unwrap());
    for offset in 0..3 {
        let seen = Seen { source: Source::new(1, offset), id };
        let event = Event::Mark(Mark { id, reader, chat, kind, seen });
        tail.push(Record { offset, stamp: Timestamp(1), event });
    }
    let position = Position { partition: Partition(0), source: Source::new(1, 2), id };
    assert_eq!(resumed(position, 3, &tail), ["ask end", "other", "other", "other", "synced"]);
}
