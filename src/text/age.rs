//! How old something may be, as people write it: `36h`, `7d`. It knows no clock.

use std::fmt;
use std::str::FromStr;

use jiff::SignedDuration;

/// A number of hours or days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age(SignedDuration);

impl Age {
    pub const WEEK: Self = Self(SignedDuration::from_hours(7 * 24));

    pub fn duration(self) -> SignedDuration {
        self.0
    }
}

impl FromStr for Age {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not an age; write for example `36h` or `7d`");
        let (number, hours) =
            match text.trim().split_at_checked(text.trim().len().saturating_sub(1)) {
                Some((number, "h")) => (number, 1),
                Some((number, "d")) => (number, 24),
                _ => return Err(wrong()),
            };
        let number: u16 = number.parse().ok().filter(|number| *number > 0).ok_or_else(wrong)?;
        Ok(Self(SignedDuration::from_hours(i64::from(number) * hours)))
    }
}

impl fmt::Display for Age {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_hours() {
            hours if hours % 24 == 0 => write!(formatter, "{}d", hours / 24),
            hours => write!(formatter, "{hours}h"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_a_number_of_hours_or_days() {
        let read = |text: &str| text.parse::<Age>().map(|age| (age.0.as_hours(), age.to_string()));
        assert_eq!(read("36h"), Ok((36, "36h".to_owned())));
        assert_eq!(read(" 7d "), Ok((168, "7d".to_owned())));
        assert_eq!(read("48h"), Ok((48, "2d".to_owned())));
        for wrong in ["", "h", "7", "0d", "-1d", "7w", "1.5d", "99999d", "7é"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
