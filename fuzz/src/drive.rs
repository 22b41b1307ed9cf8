//! Runs a decoder on many inputs and says exactly what failed: the one driver of the gate, of kept
//! findings and of the proof that it can fail.
//!
//! Owns the bounds that hold for every decoder beside its own: memory and processor time an input.
//! Trap avoided: elapsed time fails on a busy machine, so it is the thread's own time that counts.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::mutate::Maker;
use crate::watch::Watch;
use crate::{Target, Verdict};

/// Processor time of an input, in milliseconds: what is linear in the longest input stays far below.
const CPU_MS_MOST: u64 = 250;

/// What a round has met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Inputs made by mutating valid ones.
    pub mutated: usize,
    /// Inputs made up.
    pub made_up: usize,
    /// Inputs that the decoder took.
    pub taken: usize,
}

/// An input under which a decoder does not hold what it promises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which decoder.
    pub target: &'static str,
    /// The round's seed and the input's number in it; nothing for a file.
    pub made_by: Option<(u64, usize)>,
    /// What went wrong.
    pub what: String,
    /// Under which bytes.
    pub input: Vec<u8>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, made_by, what, input } = self;
        write!(f, "{target}: {what}\n  input of {} bytes: {}", input.len(), hex(input))?;
        if let Some((seed, number)) = made_by {
            write!(f, "\n  made by seed {seed} as input {number}: VOLERY_FUZZ_SEED={seed} makes it again")?;
        }
        write!(f, "\n  keep it: cargo run -p volery-fuzz -- keep {target} HEX")
    }
}

/// Runs `inputs` inputs, half of them mutated from `valid`, all made from `seed`.
///
/// # Errors
/// The first [`Finding`].
pub fn round(target: &Target, valid: &[Vec<u8>], seed: u64, inputs: usize) -> Result<Tally, Box<Finding>> {
    let mut maker = Maker::new(seed, valid, target.words);
    let watch = Watch::over(target.name, seed);
    let mut tally = Tally::default();
    for number in 0..inputs {
        let mutated = number % 2 == 0;
        let input = if mutated { maker.mutated() } else { maker.made_up() };
        *(if mutated { &mut tally.mutated } else { &mut tally.made_up }) += 1;
        watch.begins(number, &input);
        match once(target, &input) {
            Ok(verdict) => tally.taken += usize::from(verdict == Verdict::Taken),
            Err(what) => {
                return Err(Box::new(Finding { target: target.name, made_by: Some((seed, number)), what, input }));
            }
        }
    }
    Ok(tally)
}

/// Runs one input.
///
/// # Errors
/// What went wrong: a panic's text, or the bound that was broken.
pub fn once(target: &Target, input: &[u8]) -> Result<Verdict, String> {
    let before = cpu_ms();
    let mut outcome = Ok(Verdict::Refused);
    let memory = allocation_counter::measure(|| {
        outcome = catch_unwind(AssertUnwindSafe(|| (target.decode)(input)));
    });
    let cpu = cpu_ms().saturating_sub(before);
    let verdict = outcome.map_err(|panic| said(&*panic))?;
    let most = target.memory.most(input.len());
    if memory.bytes_max > most {
        return Err(format!("held {} bytes at once, at most {most} for {} of input", memory.bytes_max, input.len()));
    }
    if cpu > CPU_MS_MOST {
        return Err(format!("took {cpu} ms of processor time for {} bytes, at most {CPU_MS_MOST}", input.len()));
    }
    Ok(verdict)
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panicked: {}", text.unwrap_or("without a word"))
}

/// What this thread has used of a processor.
fn cpu_ms() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a timespec of ours, and the call writes nothing else.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(failed, 0, "every system that this is built for has this clock");
    (time.tv_sec * 1_000 + time.tv_nsec / 1_000_000).unsigned_abs()
}

/// Bytes as hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Hexadecimal digits as bytes; `None` if they are none.
#[must_use]
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.trim().as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect();
    if rest.is_empty() { bytes } else { None }
}
