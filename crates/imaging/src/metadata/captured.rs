//! When something was taken.

use safelight_model::clock::Micros;

/// Farther east or west no clock has ever been set.
const MAX_OFFSET_MINUTES: i64 = 18 * 60;
const MICROS_PER_MINUTE: i64 = 60_000_000;

/// A time of capture. Cameras tell the time on the wall, clips the moment; where the zone is told
/// too, one follows from the other. At least one of both is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Captured {
    /// What a clock on the wall showed, as if it were one of UTC.
    pub local: Option<Micros>,
    /// The moment.
    pub at: Option<Micros>,
}

impl Captured {
    /// How far local time was ahead of UTC, where that is known.
    #[must_use]
    pub fn offset_minutes(&self) -> Option<i64> {
        Some(self.local?.0.checked_sub(self.at?.0)? / MICROS_PER_MINUTE)
    }

    /// A moment without a zone.
    pub(crate) fn moment(at: Micros) -> Self {
        Self {
            local: None,
            at: Some(at),
        }
    }

    /// Reads `2020:05:04 18:39:11` or `2020-05-04T18:39:11`, perhaps with a fraction and a zone
    /// behind it. `fraction` are digits behind the point that are told elsewhere, and `zone` is
    /// `-04:00`, `+0100` or `Z`.
    pub(crate) fn parse(text: &str, fraction: Option<&str>, zone: Option<&str>) -> Option<Self> {
        let (date_and_time, behind) = text.trim().split_at_checked(19)?;
        let digits = |from: usize, to: usize| {
            let digits = date_and_time.get(from..to)?;
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            plain.then_some(digits)
        };
        let (year, month, day) = (digits(0, 4)?, digits(5, 7)?, digits(8, 10)?);
        let (hour, minute, second) = (digits(11, 13)?, digits(14, 16)?, digits(17, 19)?);
        let own = behind.strip_prefix('.').map_or(("", behind), |rest| {
            let end = rest.find(|c: char| !c.is_ascii_digit());
            rest.split_at(end.unwrap_or(rest.len()))
        });
        let fraction = Some(own.0)
            .filter(|digits| !digits.is_empty())
            .or_else(|| fraction.map(str::trim))
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
            .map(|digits| digits.get(..6).unwrap_or(digits))
            .filter(|digits| !digits.is_empty())
            .map_or(String::new(), |digits| format!(".{digits}"));
        let local = format!("{year}-{month}-{day}T{hour}:{minute}:{second}{fraction}Z");
        let local = Micros::parse_rfc3339(&local)?;
        let offset = offset_minutes(own.1.trim()).or_else(|| offset_minutes(zone?.trim()));
        let at = offset.and_then(|minutes| local.0.checked_sub(minutes * MICROS_PER_MINUTE));
        Some(Self {
            local: Some(local),
            at: at.map(Micros),
        })
    }
}

/// Minutes ahead of UTC.
fn offset_minutes(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let (sign, rest) = match zone.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let digits: String = rest.chars().filter(|c| *c != ':').collect();
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    let (hours, minutes) = match digits.len() {
        2 if plain => (digits.as_str(), "0"),
        4 if plain => digits.split_at(2),
        _ => return None,
    };
    let minutes = hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?;
    (minutes <= MAX_OFFSET_MINUTES).then_some(sign * minutes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, fraction: Option<&str>, zone: Option<&str>) -> Option<(String, String)> {
        let captured = Captured::parse(text, fraction, zone)?;
        let shown = |at: Option<Micros>| at.map_or(String::new(), Micros::rfc3339);
        Some((shown(captured.local), shown(captured.at)))
    }

    #[test]
    fn times_as_cameras_write_them() {
        let cases = [
            (
                ("2020:05:04 18:39:11", Some("644"), Some("-04:00")),
                "2020-05-04T18:39:11.644Z",
                "2020-05-04T22:39:11.644Z",
            ),
            (
                ("2020:05:04 18:39:11", Some("  "), Some("")),
                "2020-05-04T18:39:11Z",
                "",
            ),
            (
                ("2019-02-12T15:27:12+08:00", None, None),
                "2019-02-12T15:27:12Z",
                "2019-02-12T07:27:12Z",
            ),
            (
                ("2019-02-12T15:27:12.5-0330", None, None),
                "2019-02-12T15:27:12.5Z",
                "2019-02-12T18:57:12.5Z",
            ),
            (
                ("2019-02-12T15:27:12Z", None, None),
                "2019-02-12T15:27:12Z",
                "2019-02-12T15:27:12Z",
            ),
            (
                ("2016:01:01 00:00:00", Some("1234567891"), Some("+14")),
                "2016-01-01T00:00:00.123456Z",
                "2015-12-31T10:00:00.123456Z",
            ),
            (
                ("2016:01:01 00:00:00", Some("x"), Some("+99:00")),
                "2016-01-01T00:00:00Z",
                "",
            ),
        ];
        for ((text, fraction, zone), local, at) in cases {
            let got = read(text, fraction, zone);
            assert_eq!(got, Some((local.to_owned(), at.to_owned())), "{text}");
        }
        let captured = Captured::parse("2020:05:04 18:39:11", None, Some("-03:30"));
        assert_eq!(captured.and_then(|c| c.offset_minutes()), Some(-210));
    }

    #[test]
    fn times_that_are_none() {
        for text in [
            "",
            "0000:00:00 00:00:00",
            "    :  :     :  :  ",
            "2020:13:04 18:39:11",
            "2020:05:04",
            "2020:05:04 18:39:é",
            "+020:05:04 18:39:11",
        ] {
            assert_eq!(read(text, None, None), None, "{text}");
        }
    }
}
