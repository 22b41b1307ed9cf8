//! Points in time as people and programs write them: RFC 3339, or milliseconds since the Unix epoch.

use volery_kernel::time::Timestamp;

/// Milliseconds, or `2026-11-21T09:30:00Z` with any offset and any fraction; nothing before 1970.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().map(Timestamp);
    }
    let text = text.is_ascii().then_some(text)?;
    let (date, rest) = text.split_at_checked(10)?;
    let (clock, zone) = rest.strip_prefix(['T', 't', ' '])?.split_at_checked(8)?;
    let (fraction, zone) = split_fraction(zone)?;
    let seconds = days(date)? * 86_400 + time_of_day(clock)? - offset(zone)?;
    u64::try_from(seconds * 1_000 + fraction).ok().map(Timestamp)
}

/// Milliseconds of a fraction, cut, and what follows it.
fn split_fraction(text: &str) -> Option<(i64, &str)> {
    let Some(digits) = text.strip_prefix('.') else { return Some((0, text)) };
    let end = digits.find(|c: char| !c.is_ascii_digit()).filter(|&end| end > 0)?;
    let (fraction, zone) = digits.split_at(end);
    Some((format!("{fraction:0<3}").get(..3)?.parse().ok()?, zone))
}

/// Days since 1970-01-01 of a date of the Gregorian calendar that exists.
fn days(date: &str) -> Option<i64> {
    let (year, month, day) = (number(date, 0..4)?, number(date, 5..7)?, number(date, 8..10)?);
    let leap = year % 4 == 0 && year % 100 != 0 || year % 400 == 0;
    let lengths = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let month = usize::try_from(month).ok().filter(|month| (1..=12).contains(month))?;
    let written_so = date.get(4..5) == Some("-") && date.get(7..8) == Some("-");
    let exists = written_so && (1..=lengths[month - 1]).contains(&day);
    let before = year - 1;
    let years = 365 * before + before / 4 - before / 100 + before / 400;
    exists.then(|| years - 719_162 + lengths[..month - 1].iter().sum::<i64>() + day - 1)
}

/// Seconds of `hh:mm:ss`; a leap second counts as the one before it.
fn time_of_day(clock: &str) -> Option<i64> {
    let (hour, minute, second) = (number(clock, 0..2)?, number(clock, 3..5)?, number(clock, 6..8)?);
    let written_so = clock.get(2..3) == Some(":") && clock.get(5..6) == Some(":");
    (written_so && hour < 24 && minute < 60 && second <= 60).then(|| hour * 3_600 + minute * 60 + second.min(59))
}

/// Seconds east of Greenwich.
fn offset(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let sign = match zone.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    (zone.len() == 6).then_some(())?;
    time_of_day(&format!("{}:00", zone.get(1..)?)).map(|seconds| sign * seconds)
}

fn number(text: &str, at: std::ops::Range<usize>) -> Option<i64> {
    let digits = text.get(at)?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_examples_of_the_standard_and_a_few_more() {
        for (text, millis) in [
            ("0", 0),
            ("1795253400123", 1_795_253_400_123),
            ("1970-01-01T00:00:00Z", 0),
            ("1985-04-12T23:20:50.52Z", 482_196_050_520),
            ("1996-12-19T16:39:57-08:00", 851_042_397_000),
            ("1990-12-31T23:59:60Z", 662_687_999_000),
            ("2000-02-29t00:00:00.1239z", 951_782_400_123),
            ("1970-01-01T01:00:00+01:00", 0),
        ] {
            assert_eq!(parse(text), Some(Timestamp(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "yesterday",
            "-1",
            "1e3",
            "99999999999999999999",
            "2026-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-01",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00",
            "1969-12-31T23:59:59Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00+1:00",
            "2026-01-01T00:00:00Zx",
            "2026/01/01T00:00:00Z",
            "20é6-01-01T00:00:00Z",
            "2026-01-01T00:00:00+é0:0",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn each_day_is_a_day_after_the_one_before(year in 1970..2400i64, month in 1..=12i64, day in 1..=27i64) {
            let at = |day| parse(&format!("{year:04}-{month:02}-{day:02}T00:00:00Z"));
            prop_assert_eq!(at(day).map(|at| at.plus(86_400_000)), at(day + 1));
        }

        #[test]
        fn each_year_begins_a_second_after_the_last_one_ended(year in 1970..9998i64) {
            let (end, start) = (format!("{year:04}-12-31T23:59:59Z"), format!("{:04}-01-01T00:00:00Z", year + 1));
            prop_assert_eq!(parse(&end).map(|at| at.plus(1_000)), parse(&start));
        }

        #[test]
        fn nothing_panics(text in any::<String>()) {
            let _ = parse(&text);
        }
    }
}
