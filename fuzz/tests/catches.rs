//! The driver can fail: decoders with the usual mistakes, each found within what the gate runs of one
//! target. A decoder without a mistake, on the same inputs, is not.

#![expect(clippy::expect_used, reason = "a test's own failures")]

use std::time::Duration;

use volery_fuzz::drive::{Finding, hex, once, round, unhex};
use volery_fuzz::{Memory, Target, Verdict};

/// What they read: a length, then so many bytes of UTF-8.
fn right(bytes: &[u8]) -> Verdict {
    let text = bytes.split_first().and_then(|(&length, rest)| rest.get(..usize::from(length)));
    Verdict::of(text.and_then(|text| std::str::from_utf8(text).ok()))
}

fn believes_the_length(bytes: &[u8]) -> Verdict {
    let Some((&length, rest)) = bytes.split_first() else { return Verdict::Refused };
    Verdict::of(std::str::from_utf8(&rest[..usize::from(length)]).ok())
}

fn overflows(bytes: &[u8]) -> Verdict {
    let [length, rest @ ..] = bytes else { return Verdict::Refused };
    let with_header = *length + 1;
    Verdict::of(rest.get(..usize::from(with_header)))
}

fn allocates_what_it_is_told(bytes: &[u8]) -> Verdict {
    let Some(length) = bytes.first_chunk::<2>() else { return Verdict::Refused };
    let room: Vec<u8> = Vec::with_capacity(64 * usize::from(u16::from_be_bytes(*length)));
    Verdict::of((room.capacity() > bytes.len()).then_some(()))
}

fn is_quadratic(bytes: &[u8]) -> Verdict {
    let mut seen = Vec::new();
    for byte in bytes {
        let again = seen.iter().rev().filter(|other| std::hint::black_box(**other) == *byte).count();
        seen.push(*byte);
        std::hint::black_box(again);
    }
    Verdict::Taken
}

/// Writes what it read: a text without its last byte, if that is a space.
fn forgets(bytes: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(bytes) else { return Verdict::Refused };
    assert_eq!(text.strip_suffix(' ').unwrap_or(text), text);
    Verdict::Taken
}

fn target(name: &'static str, decode: fn(&[u8]) -> Verdict) -> Target {
    let seeds = || vec![b"\x05hello".to_vec(), "\x03\u{20ac}".as_bytes().to_vec()];
    Target { name, decode, seeds, words: &[b"\x01a"], memory: Memory::PLAIN }
}

/// What one target is run on in the gate.
fn run(name: &'static str, decode: fn(&[u8]) -> Verdict) -> Result<usize, Box<Finding>> {
    let target = target(name, decode);
    round(&target, &(target.seeds)(), 1, 10_000).map(|tally| tally.taken)
}

fn found(name: &'static str, decode: fn(&[u8]) -> Verdict, says: &str) {
    let finding = run(name, decode).expect_err(name);
    assert!(finding.what.contains(says), "{name}: {}", finding.what);
    let told = finding.to_string();
    assert!(told.contains(&hex(&finding.input)) && told.contains("VOLERY_FUZZ_SEED=1 "), "{told}");
    let again = once(&target(name, decode), &finding.input);
    assert!(again.is_err(), "{name}: the input alone does not show it");
}

#[test]
fn a_right_decoder_passes() {
    let taken = run("right", right).expect("nothing is wrong with it");
    assert!((1..10_000).contains(&taken), "{taken}");
}

#[test]
fn a_length_that_is_believed_is_found() {
    found("believes_the_length", believes_the_length, "out of range");
}

#[test]
fn an_overflow_is_found() {
    found("overflows", overflows, "overflow");
}

#[test]
fn memory_by_the_word_of_the_sender_is_found() {
    found("allocates_what_it_is_told", allocates_what_it_is_told, "held");
}

#[test]
fn quadratic_time_is_found() {
    found("is_quadratic", is_quadratic, "processor time");
}

#[test]
fn what_is_lost_when_it_is_written_is_found() {
    found("forgets", forgets, "assertion");
}

#[test]
fn waiting_is_no_processor_time() {
    fn waits(_: &[u8]) -> Verdict {
        std::thread::sleep(Duration::from_millis(400));
        Verdict::Taken
    }
    assert_eq!(once(&target("waits", waits), b""), Ok(Verdict::Taken));
}

#[test]
fn digits_come_back() {
    assert_eq!(unhex(&hex(&[0, 0x7f, 0xff])), Some(vec![0, 0x7f, 0xff]));
    assert_eq!((unhex("0"), unhex("0g")), (None, None));
}
