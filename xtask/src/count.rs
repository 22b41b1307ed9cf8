//! Counting what test programs print: one number for passed, failed and skipped over all of them.
//!
//! A test that needs an engine which cannot be had here prints a line `SKIPPED: <name>: <reason>`, and
//! returns. Test programs run with `--show-output`, which repeats what successful tests printed under
//! their names; such a test is counted as skipped and not as passed. A program that ends without its
//! result line (it was killed, it aborted) counts as one failure, never as nothing.

use std::fmt;

/// How many tests ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    /// Ignored, or skipped by their own word.
    pub(crate) skipped: usize,
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

impl std::iter::Sum for Count {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |sum, count| Self {
            passed: sum.passed + count.passed,
            failed: sum.failed + count.failed,
            skipped: sum.skipped + count.skipped,
        })
    }
}

/// Reads the output of test programs line by line.
#[derive(Default)]
pub(crate) struct Reader {
    count: Count,
    /// A program began and has not printed its result.
    open: bool,
    /// Inside what successful tests printed.
    outputs: Outputs,
    /// Tests of the open program that said that they skip.
    said: usize,
    reasons: Vec<String>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Outputs {
    #[default]
    Outside,
    Inside,
    /// This test's word was heard.
    Heard,
}

impl Reader {
    /// Takes a line; says whether people need to see it.
    pub(crate) fn line(&mut self, line: &str) -> bool {
        if let Some(result) = line.strip_prefix("test result: ") {
            self.result(result);
        } else if is_start(line) {
            self.close();
            self.open = true;
        } else if line == "failures:" {
            self.outputs = Outputs::Outside;
        } else if line == "successes:" {
            self.outputs = Outputs::Inside;
            return false;
        } else if self.outputs != Outputs::Outside {
            return self.output(line);
        }
        true
    }

    /// The end of everything: the count, and what the skipped said.
    pub(crate) fn end(mut self) -> (Count, Vec<String>) {
        self.close();
        (self.count, self.reasons)
    }

    fn output(&mut self, line: &str) -> bool {
        if line.starts_with("---- ") && line.ends_with(" stdout ----") {
            self.outputs = Outputs::Inside;
        } else if let Some(reason) = line.strip_prefix("SKIPPED: ") {
            if self.outputs == Outputs::Inside {
                self.said += 1;
                self.reasons.push(reason.to_owned());
            }
            self.outputs = Outputs::Heard;
        }
        false
    }

    fn result(&mut self, result: &str) {
        let number = |what: &str| {
            let mut parts = result.split(['.', ';']).map(str::trim);
            parts.find_map(|part| part.strip_suffix(what)?.trim().parse::<usize>().ok()).unwrap_or_default()
        };
        let said = self.said.min(number("passed"));
        self.count.passed += number("passed") - said;
        self.count.failed += number("failed");
        self.count.skipped += number("ignored") + said;
        (self.open, self.said, self.outputs) = (false, 0, Outputs::Outside);
    }

    fn close(&mut self) {
        if self.open {
            self.count.failed += 1;
            self.reasons.push("a test program ended without its result".to_owned());
        }
        (self.open, self.said, self.outputs) = (false, 0, Outputs::Outside);
    }
}

fn is_start(line: &str) -> bool {
    let middle =
        line.strip_prefix("running ").and_then(|rest| rest.strip_suffix(" tests").or(rest.strip_suffix(" test")));
    middle.is_some_and(|number| number.parse::<usize>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(output: &str) -> (Count, Vec<String>) {
        let mut reader = Reader::default();
        for line in output.lines() {
            reader.line(line);
        }
        reader.end()
    }

    const TWO_PROGRAMS: &str = "
running 3 tests
test a ... ok
test b ... ignored, needs an hour
test c ... ok

successes:

---- a stdout ----
SKIPPED: kafka: no java here
SKIPPED: kafka: said twice

---- c stdout ----
it says that SKIPPED: is a word

successes:
    a
    c

test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s

running 1 test
test d ... FAILED

failures:

---- d stdout ----
SKIPPED: d: and failed nevertheless

failures:
    d

test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 7 filtered out; finished in 0.00s
";

    #[test]
    fn a_skip_is_no_pass_and_counts_once_a_test() {
        let (count, reasons) = read(TWO_PROGRAMS);
        assert_eq!(count, Count { passed: 1, failed: 1, skipped: 2 });
        assert_eq!(reasons, ["kafka: no java here"]);
        assert_eq!(count.to_string(), "1 passed, 1 failed, 2 skipped");
    }

    #[test]
    fn a_program_that_dies_is_a_failure() {
        let (count, reasons) =
            read("running 2 tests\ntest a ... ok\nrunning 0 tests\n\ntest result: ok. 0 passed; 0 failed; 0 ignored\n");
        assert_eq!(count, Count { passed: 0, failed: 1, skipped: 0 });
        assert_eq!(reasons.len(), 1);
        assert_eq!(read("running 1 test\n").0.failed, 1);
    }

    #[test]
    fn outputs_of_successful_tests_are_not_shown_and_failures_are() {
        let mut reader = Reader::default();
        let shown: Vec<&str> = TWO_PROGRAMS.lines().filter(|line| reader.line(line)).collect();
        assert!(!shown.contains(&"it says that SKIPPED: is a word"));
        assert!(shown.contains(&"SKIPPED: d: and failed nevertheless"));
        assert!(shown.contains(&"test d ... FAILED"));
    }

    #[test]
    fn nothing_at_all_is_nothing() {
        assert_eq!(read(""), (Count::default(), vec![]));
    }
}
