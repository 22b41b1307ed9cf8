//! Times as people read them, in the time zone of this machine.

use volery_kernel::time::Timestamp;

/// A point in time on the local calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Local {
    pub(crate) year: i32,
    /// 1 to 12.
    pub(crate) month: u32,
    /// 1 to 31.
    pub(crate) day: u32,
    pub(crate) hour: u32,
    pub(crate) minute: u32,
    /// 0 is Sunday.
    pub(crate) weekday: usize,
}

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

impl Local {
    /// Where the local calendar puts this point; the epoch if it cannot.
    pub(crate) fn of(at: Timestamp) -> Self {
        let seconds = libc::time_t::try_from(at.0 / 1_000).unwrap_or(0);
        // SAFETY: `tm` is plain data for which zeroes are valid.
        let mut parts: libc::tm = unsafe { std::mem::zeroed() };
        // SAFETY: both pointers are to values that live through the call; the function keeps neither.
        unsafe { libc::localtime_r(&raw const seconds, &raw mut parts) };
        let number = |value: libc::c_int| u32::try_from(value).unwrap_or(0);
        Self {
            year: parts.tm_year + 1900,
            month: number(parts.tm_mon) + 1,
            day: number(parts.tm_mday),
            hour: number(parts.tm_hour),
            minute: number(parts.tm_min),
            weekday: number(parts.tm_wday) as usize % 7,
        }
    }

    /// `09:41`.
    pub(crate) fn time(self) -> String {
        format!("{:02}:{:02}", self.hour, self.minute)
    }

    /// Year, month and day: equal on one day.
    pub(crate) fn date(self) -> (i32, u32, u32) {
        (self.year, self.month, self.day)
    }

    /// `Today`, or `Saturday, 21 November 2026`.
    pub(crate) fn day_name(self, today: Self) -> String {
        if self.date() == today.date() {
            return "Today".to_owned();
        }
        let month = MONTHS.get(self.month as usize - 1).copied().unwrap_or_default();
        format!("{}, {} {month} {}", DAYS[self.weekday], self.day, self.year)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_named() {
        let day = Local { year: 2026, month: 11, day: 21, hour: 9, minute: 5, weekday: 6 };
        let next = Local { day: 22, weekday: 0, ..day };
        assert_eq!(day.day_name(next), "Saturday, 21 November 2026");
        assert_eq!((day.day_name(day), day.time()), ("Today".into(), "09:05".into()));
        let noon = Local::of(Timestamp(1_767_268_800_000));
        assert_eq!((noon.year, noon.month, noon.day), (2026, 1, 1));
    }
}
