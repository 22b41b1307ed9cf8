//! What the kernel says of a process: memory, CPU, and who of its threads used it.

use std::collections::BTreeMap;
use std::fs;

use crate::failure::Failure;

/// CPU of a process and of its threads by name, in microseconds since it began.
#[derive(Clone, Debug, Default)]
pub struct Cpu {
    /// Of all threads, ended ones too.
    pub total: u64,
    /// Of the threads that live, by name; numbers at the end of a name are left out.
    pub threads: BTreeMap<String, u64>,
}

impl Cpu {
    /// Reads both now.
    ///
    /// # Errors
    /// There is no such process.
    pub fn of(pid: u32) -> Result<Self, Failure> {
        let total = ticks(&fs::read_to_string(format!("/proc/{pid}/stat"))?)?;
        let mut threads = BTreeMap::new();
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            // A thread may end while it is looked at.
            let Ok(stat) = fs::read_to_string(task?.path().join("stat")) else { continue };
            *threads.entry(name(&stat)).or_default() += ticks(&stat)?;
        }
        Ok(Self { total, threads })
    }

    /// What was used since.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let of_thread = |(name, used): (&String, &u64)| {
            (name.clone(), used.saturating_sub(before.threads.get(name).copied().unwrap_or_default()))
        };
        Self { total: self.total.saturating_sub(before.total), threads: self.threads.iter().map(of_thread).collect() }
    }
}

fn name(stat: &str) -> String {
    let name = stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')')).map_or("", |(name, _)| name);
    name.trim_end_matches(|at: char| at.is_ascii_digit() || at == '-' || at == ':' || at == '#').to_owned()
}

/// User and system time, fields 14 and 15; the name before them may hold anything, spaces too.
fn ticks(stat: &str) -> Result<u64, Failure> {
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().skip(11).take(2);
    let sum = fields.map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(sum * 1_000_000 / ticks_per_second())
}

fn ticks_per_second() -> u64 {
    // SAFETY: takes and gives plain integers.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    u64::try_from(ticks).ok().filter(|ticks| *ticks > 0).unwrap_or(100)
}

/// Resident memory in KiB.
///
/// # Errors
/// There is no such process.
pub fn rss_kib(pid: u32) -> Result<u64, Failure> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()).ok_or(Failure("no VmRSS".to_owned()))?;
    Ok(number.parse()?)
}

/// How many files this process may open.
#[must_use]
pub fn files_allowed() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel fills in the structure that it is given.
    let asked = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    if asked == 0 { limit.rlim_cur } else { 1_024 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_everything_in_it_hides_no_numbers() {
        let stat = "7 (a) b (c-12) S 1 2 3 4 5 6 7 8 9 10 40 2 0 0 20";
        assert_eq!(name(stat), "a) b (c");
        assert_eq!(ticks(stat).map_err(|failure| failure.0), Ok(42 * 1_000_000 / ticks_per_second()));
    }
}
