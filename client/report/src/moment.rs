//! When something was computed, in the words of each form.

use chrono::{DateTime, FixedOffset, Local};

/// A point in time and the offset from UTC that it is told in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moment(DateTime<FixedOffset>);

impl Moment {
    /// Now, as clocks here tell it.
    #[must_use]
    pub fn now() -> Self {
        Self(Local::now().fixed_offset())
    }

    /// So many seconds since 1970, in UTC. `None` beyond the calendar.
    #[must_use]
    pub fn from_unix(seconds: i64) -> Option<Self> {
        DateTime::from_timestamp(seconds, 0).map(|moment| Self(moment.fixed_offset()))
    }

    /// The same moment at an offset as DICOM writes it (`+0130`); `None` for any other text.
    #[must_use]
    pub fn at(self, offset: &str) -> Option<Self> {
        let (sign, digits) = offset.split_at_checked(1)?;
        let (hours, minutes) = digits.split_at_checked(2)?;
        if digits.len() != 4 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let seconds = 3600 * hours.parse::<i32>().ok()? + 60 * minutes.parse::<i32>().ok()?;
        let offset = match sign {
            "+" => FixedOffset::east_opt(seconds),
            "-" => FixedOffset::west_opt(seconds),
            _ => None,
        };
        offset.map(|offset| Self(self.0.with_timezone(&offset)))
    }

    /// For people.
    #[must_use]
    pub fn words(self) -> String {
        match self.0.offset().local_minus_utc() {
            0 => self.0.format("%Y-%m-%d %H:%M UTC").to_string(),
            _ => self.0.format("%Y-%m-%d %H:%M UTC%:z").to_string(),
        }
    }

    /// A FHIR instant.
    #[must_use]
    pub fn instant(self) -> String {
        self.0.format("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }

    /// DICOM's DA.
    #[must_use]
    pub fn date(self) -> String {
        self.0.format("%Y%m%d").to_string()
    }

    /// DICOM's TM.
    #[must_use]
    pub fn time(self) -> String {
        self.0.format("%H%M%S").to_string()
    }

    /// DICOM's DT, which names the offset.
    #[must_use]
    pub fn date_time(self) -> String {
        self.0.format("%Y%m%d%H%M%S%z").to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (seconds, words, instant) in [
            (0, "1970-01-01 00:00 UTC", "1970-01-01T00:00:00+00:00"),
            (951_827_640, "2000-02-29 12:34 UTC", "2000-02-29T12:34:00+00:00"),
            (1_795_564_799, "2026-11-24 23:59 UTC", "2026-11-24T23:59:59+00:00"),
            (4_107_542_400, "2100-03-01 00:00 UTC", "2100-03-01T00:00:00+00:00"),
        ] {
            let moment = Moment::from_unix(seconds).unwrap();
            assert_eq!((moment.words().as_str(), moment.instant().as_str()), (words, instant));
        }
        assert!(Moment::from_unix(i64::MAX).is_none());
    }

    #[test]
    fn offsets_move_the_clock_and_not_the_moment() {
        let moment = Moment::from_unix(1_795_564_799).unwrap();
        let later = moment.at("+0130").unwrap();
        assert_eq!(later, moment);
        assert_eq!(later.words(), "2026-11-25 01:29 UTC+01:30");
        assert_eq!(later.instant(), "2026-11-25T01:29:59+01:30");
        assert_eq!((later.date(), later.time()), ("20261125".into(), "012959".into()));
        assert_eq!(moment.at("-0500").unwrap().date_time(), "20261124185959-0500");
        for wrong in ["", "0130", "+130", "+01:30", "+ 130", "+2500", "+01300", "\u{20ac}0130", "+0\u{20ac}"]
        {
            assert!(moment.at(wrong).is_none(), "{wrong}");
        }
    }
}
