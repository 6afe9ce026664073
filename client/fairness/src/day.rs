//! Dates of the Gregorian calendar, and the windows of time that they fall into.

use std::fmt;

/// A date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day {
    year: u16,
    month: u8,
    day: u8,
}

/// How decisions are gathered over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// A day.
    Day,
    /// A week of ISO 8601, from Monday.
    Week,
    /// A month.
    Month,
    /// A quarter.
    Quarter,
    /// A year.
    Year,
}

impl Day {
    /// Reads `2026-03-31`, perhaps with `T` or a space and a time behind it, which is not looked at.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (date, rest) = text.split_at_checked(10)?;
        let bytes = date.as_bytes();
        let is_shaped = bytes.iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        });
        if !is_shaped || !(rest.is_empty() || rest.starts_with(['T', ' '])) {
            return None;
        }
        let (year, month, day) = (date[..4].parse().ok()?, date[5..7].parse().ok()?, date[8..].parse().ok()?);
        let is_day = year > 0 && (1..=12).contains(&month) && (1..=days_of(year, month)).contains(&day);
        is_day.then_some(Self { year, month, day })
    }

    /// Days since 1 January of the year 1, a Monday.
    fn ordinal(self) -> u32 {
        let before = u32::from(self.year) - 1;
        let months: u32 = (1..self.month).map(|month| u32::from(days_of(self.year, month))).sum();
        365 * before + before / 4 - before / 100 + before / 400 + months + u32::from(self.day) - 1
    }
}

impl Window {
    /// The window of a day. Names of one kind sort as their windows follow each other.
    #[must_use]
    pub fn name(self, day: Day) -> String {
        let Day { year, month, .. } = day;
        match self {
            Self::Day => day.to_string(),
            Self::Week => {
                // A week belongs to the year of its Thursday.
                let thursday = day.ordinal() / 7 * 7 + 3;
                let first = |year| Day { year, month: 1, day: 1 }.ordinal();
                let year = match () {
                    () if thursday < first(year) => year - 1,
                    () if thursday >= first(year + 1) => year + 1,
                    () => year,
                };
                format!("{year:04}-W{:02}", (thursday - first(year)) / 7 + 1)
            }
            Self::Month => format!("{year:04}-{month:02}"),
            Self::Quarter => format!("{year:04}-Q{}", (month - 1) / 3 + 1),
            Self::Year => format!("{year:04}"),
        }
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

fn days_of(year: u16, month: u8) -> u8 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_and_wrong_ones_are_not() {
        for text in ["2024-02-29", "2026-12-31T23:59:59Z", "2000-02-29 07:00"] {
            assert_eq!(Day::parse(text).unwrap().to_string(), text[..10]);
        }
        for text in [
            "",
            "2026",
            "2026-1-01",
            "2025-02-29",
            "1900-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-04-31",
            "0000-01-01",
            "2026-01-01x",
            "01/02/2026",
            "2026-01-0é",
            "+026-01-01",
        ] {
            assert_eq!(Day::parse(text), None, "{text}");
        }
    }

    #[test]
    fn windows_have_names_that_sort() {
        // Weeks from Python's date.isocalendar().
        for (day, week) in [
            ("2020-12-31", "2020-W53"),
            ("2021-01-03", "2020-W53"),
            ("2021-01-04", "2021-W01"),
            ("2018-12-31", "2019-W01"),
            ("2024-12-29", "2024-W52"),
            ("2024-12-30", "2025-W01"),
            ("2026-11-27", "2026-W48"),
            ("0001-01-01", "0001-W01"),
        ] {
            assert_eq!(Window::Week.name(Day::parse(day).unwrap()), week, "{day}");
        }
        let day = Day::parse("2026-08-05").unwrap();
        let names =
            [Window::Day, Window::Month, Window::Quarter, Window::Year].map(|window| window.name(day));
        assert_eq!(names, ["2026-08-05", "2026-08", "2026-Q3", "2026"]);
    }
}
