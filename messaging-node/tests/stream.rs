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
        Step::Reset { .. } => "reset",
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

fn tail_of(start: u64, head: u64) -> Tail {
    let mut tail = Tail::new(Partition(0), 1, start, 1_000_000);
    let id = Id::new(50).unwrap();
    for offset in start..head {
        let event = Event::Unknown { id, stream: Recipient::User(UserId::new(9).unwrap()), bytes: Bytes::new() };
        tail.push(Record { offset, stamp: Timestamp(1), event });
    }
    tail
}

/// In a flood archive may be slower than the log and the tail shorter than what it lacks: whoever lies before both
/// would never be told `synced`, if the end moved with each try.
#[test]
fn a_log_that_moves_away_faster_than_archive_is_caught_up_with() {
    let mut stream = at_the_beginning(&tail_of(9, 9));
    stream.end_is(9, &tail_of(9, 9), &mut Vec::new());
    assert_eq!(pump(&mut stream, &tail_of(9, 9)), ["fetch"]);
    assert!(stream.fetch_failed(&tail_of(9, 20)).is_none());
    for (archived, head) in [(5, 30), (10, 40), (15, 50)] {
        let tail = tail_of(20, head);
        stream.fetch_again();
        assert_eq!(pump(&mut stream, &tail), ["fetch"], "the tail's head at {head}");
        stream.fetched(archived);
        assert_eq!(pump(&mut stream, &tail), ["fetch"]);
        assert!(stream.fetch_failed(&tail).is_none());
        assert!(pump(&mut stream, &tail).is_empty(), "not before it is due again");
    }
    stream.fetch_again();
    assert_eq!(pump(&mut stream, &tail_of(20, 60)), ["fetch"]);
    stream.fetched(20);
    assert_eq!(pump(&mut stream, &tail_of(20, 60)), ["synced"], "what came since was sent as it came");
    assert_eq!(stream.held_below(), Some(60));
}

/// The tail's start may move as fast as a device fetches what lies before it.
#[test]
fn the_promised_end_is_reached_below_the_tail() {
    let mut stream = at_the_beginning(&tail_of(9, 9));
    stream.end_is(9, &tail_of(9, 9), &mut Vec::new());
    assert_eq!(pump(&mut stream, &tail_of(9, 9)), ["fetch"]);
    stream.fetched(8);
    assert_eq!(pump(&mut stream, &tail_of(20, 30)), ["fetch"]);
    stream.fetched(16);
    assert_eq!(pump(&mut stream, &tail_of(30, 40)), ["synced", "fetch"]);
}

/// The tail dropped what was to follow what was sent loosely. Who is told `synced` may mark as far as that.
#[test]
fn nothing_that_was_sent_loosely_lies_beyond_synced() {
    let mut stream = at_the_beginning(&tail_of(9, 9));
    stream.end_is(9, &tail_of(9, 9), &mut Vec::new());
    assert_eq!(pump(&mut stream, &tail_of(9, 9)), ["fetch"]);
    assert!(stream.fetch_failed(&tail_of(9, 20)).is_none());
    assert!(pump(&mut stream, &tail_of(15, 25)).is_empty());
    stream.fetch_again();
    assert_eq!(pump(&mut stream, &tail_of(30, 40)), ["fetch"], "a second hole, from 25 to 30");
    stream.fetched(24);
    assert_eq!(pump(&mut stream, &tail_of(30, 40)), ["fetch"], "the end was 9, but 24 was sent");
    stream.fetched(25);
    assert_eq!(pump(&mut stream, &tail_of(30, 40)), ["synced", "fetch"]);
}

/// So many more records for `user`; then only the newest are held.
fn more(tail: &mut Tail, user: u64, count: u64, held: usize) {
    let stream = Recipient::User(UserId::new(user).unwrap());
    for offset in tail.head()..tail.head() + count {
        let id = Id::new(50).unwrap();
        let event = match user {
            1 => {
                let (reader, chat) =
                    (UserId::new(1).unwrap(), ChatId::direct(UserId::new(1).unwrap(), UserId::new(9).unwrap()));
                Event::Mark(Mark {
                    id,
                    reader,
                    chat,
                    kind: MarkKind::Read,
                    seen: Seen { source: Source::new(1, offset), id },
                })
            }
            _ => Event::Unknown { id, stream, bytes: Bytes::new() },
        };
        tail.push(Record { offset, stamp: Timestamp(1), event });
    }
    while tail.head() - tail.start() > held as u64 {
        tail.set_budget(tail.bytes() - 1);
    }
    tail.set_budget(1_000_000);
}

fn caught_up(tail: &Tail) -> Stream {
    let mut stream = at_the_beginning(tail);
    stream.end_is(tail.head(), tail, &mut Vec::new());
    assert_eq!(pump(&mut stream, tail), ["synced"]);
    stream
}

/// It was promised all before the tail, which could not be read.
fn with_a_hole(tail: &Tail) -> Stream {
    let mut stream = at_the_beginning(tail);
    stream.end_is(tail.start(), tail, &mut Vec::new());
    assert_eq!(pump(&mut stream, tail), ["fetch"]);
    assert!(stream.fetch_failed(tail).is_none());
    stream
}

/// The others' records push a quiet user's place out of the tail. Nothing is to be read for it, neither log nor index.
#[test]
fn who_missed_nothing_reads_nothing() {
    let mut tail = tail_of(0, 5);
    let mut stream = caught_up(&tail);
    more(&mut tail, 9, 40, 10);
    more(&mut tail, 1, 1, 11);
    assert!(tail.start() > 20);
    assert_eq!(pump(&mut stream, &tail), ["other"]);
    assert!(stream.is_synced() && stream.position(&tail).is_some());
}

#[test]
fn who_missed_something_reads_it() {
    let mut tail = tail_of(0, 5);
    let mut stream = caught_up(&tail);
    more(&mut tail, 1, 1, 6);
    more(&mut tail, 9, 40, 10);
    assert_eq!(pump(&mut stream, &tail), ["fetch"]);
}

/// While history cannot be read, what comes is delivered, however long nothing came.
#[test]
fn loose_delivery_goes_on_after_a_silence_that_is_longer_than_the_tail() {
    let mut tail = tail_of(9, 20);
    let mut stream = with_a_hole(&tail);
    more(&mut tail, 9, 40, 10);
    more(&mut tail, 1, 1, 11);
    assert_eq!(pump(&mut stream, &tail), ["other"]);
    stream.fetch_again();
    assert_eq!(pump(&mut stream, &tail), ["fetch"]);
    stream.fetched(20);
    assert_eq!(pump(&mut stream, &tail), ["synced"]);
}

/// Each time that it falls behind there would be more that it must reach before it may be told `synced`.
#[test]
fn who_falls_behind_the_tail_again_and_again_is_synced_where_it_was_first() {
    let mut tail = tail_of(9, 20);
    let mut stream = with_a_hole(&tail);
    let fall_behind = |tail: &mut Tail| {
        more(tail, 1, 5, 20);
        more(tail, 9, 40, 10);
    };
    fall_behind(&mut tail);
    for archived in 15..20 {
        stream.fetch_again();
        assert_eq!(pump(&mut stream, &tail), ["fetch"]);
        stream.fetched(archived);
        assert_eq!(pump(&mut stream, &tail), ["fetch"]);
        assert!(stream.fetch_failed(&tail).is_none());
        fall_behind(&mut tail);
        assert!(pump(&mut stream, &tail).is_empty());
    }
    stream.fetch_again();
    assert_eq!(pump(&mut stream, &tail), ["fetch"]);
    stream.fetched(20);
    assert_eq!(pump(&mut stream, &tail), ["synced", "fetch"]);
}

/// But not where nothing comes that is lacking: it is no reason to be silent.
#[test]
fn who_fell_behind_the_tail_is_sent_what_comes_while_history_is_away() {
    let mut tail = tail_of(9, 20);
    let mut stream = with_a_hole(&tail);
    more(&mut tail, 1, 5, 20);
    more(&mut tail, 9, 40, 10);
    stream.fetch_again();
    assert_eq!(pump(&mut stream, &tail), ["fetch"], "a second hole");
    assert!(stream.fetch_failed(&tail).is_none());
    more(&mut tail, 1, 1, 11);
    assert_eq!(pump(&mut stream, &tail), ["other"]);
    stream.fetch_again();
    assert_eq!(pump(&mut stream, &tail), ["fetch"]);
    stream.fetched(65);
    assert_eq!(pump(&mut stream, &tail), ["synced"]);
}

/// Another session had the tail reach back meanwhile.
#[test]
fn an_answer_that_comes_too_late_takes_nothing_back() {
    for refused in [false, true] {
        let mut tail = tail_of(0, 0);
        let mut stream = caught_up(&tail);
        assert_eq!(pump(&mut stream, &tail_of(9, 20)), ["fetch"]);
        more(&mut tail, 9, 20, 20);
        assert!(pump(&mut stream, &tail).is_empty());
        let said = if refused { stream.fetch_refused(&tail) } else { stream.fetch_failed(&tail) };
        assert!(said.is_none() && stream.is_synced());
    }
}

/// A read that failed compared nothing.
#[test]
fn a_position_that_could_not_be_compared_is_compared_later() {
    let tail = tail_of(9, 20);
    let mut stream = at_the_beginning(&tail);
    let position = Position { partition: Partition(0), source: Source::new(1, 2), id: Id::new(7).unwrap() };
    stream.resume(position);
    stream.end_is(9, &tail, &mut Vec::new());
    assert_eq!(pump(&mut stream, &tail), ["fetch"]);
    assert!(stream.fetch_failed(&tail).is_none());
    assert_eq!(stream.unverified(), Some(position));
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
