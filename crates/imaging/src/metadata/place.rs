//! Where something was taken.

/// A place on Earth (WGS 84).
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Place {
    /// North of the equator, −90 to 90.
    pub latitude_deg: f64,
    /// East of Greenwich, −180 to 180.
    pub longitude_deg: f64,
    /// Above the sea.
    pub altitude_m: Option<f64>,
}

impl Place {
    /// Nothing where there is no such place, and for 0, 0: cameras write that when they do not know.
    pub(crate) fn new(
        latitude_deg: f64,
        longitude_deg: f64,
        altitude_m: Option<f64>,
    ) -> Option<Self> {
        let is_place = latitude_deg.abs() <= 90.0 && longitude_deg.abs() <= 180.0;
        let is_known = latitude_deg != 0.0 || longitude_deg != 0.0;
        (is_place && is_known).then_some(Self {
            latitude_deg,
            longitude_deg,
            altitude_m: altitude_m.filter(|altitude| altitude.is_finite()),
        })
    }

    /// Reads `+27.2939+112.6931/` or `+40.1-074.2+012.3/` (ISO 6709, annex H); degrees may have
    /// minutes and seconds behind them, as further digits.
    pub(crate) fn parse_iso6709(text: &str) -> Option<Self> {
        let text = text.split(['/', 'C']).next()?.trim();
        let mut starts = text.char_indices().filter(|(_, c)| "+-".contains(*c));
        let (latitude, longitude) = (starts.next()?.0, starts.next()?.0);
        let altitude = starts.next().map_or(text.len(), |(at, _)| at);
        let altitude_m = text.get(altitude..).and_then(|text| text.parse().ok());
        Self::new(
            degrees(text.get(latitude..longitude)?, 2)?,
            degrees(text.get(longitude..altitude)?, 3)?,
            altitude_m,
        )
    }
}

/// Reads a sign, degrees of so many digits, and perhaps minutes and seconds of two.
fn degrees(text: &str, digits: usize) -> Option<f64> {
    let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
    let text = text.get(1..)?;
    let whole = text.find('.').unwrap_or(text.len());
    if !text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.')
    {
        return None;
    }
    let part = |from: usize, to: usize| text.get(from..to)?.parse::<f64>().ok();
    let end = text.len();
    let value = match whole.checked_sub(digits)? {
        0 => part(0, end)?,
        2 => part(0, digits)? + part(digits, end)? / 60.0,
        4 => {
            let minutes = part(digits, digits + 2)?;
            part(0, digits)? + minutes / 60.0 + part(digits + 2, end)? / 3600.0
        }
        _ => return None,
    };
    Some(sign * value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_as_phones_write_them() {
        let read = |text| {
            let place = Place::parse_iso6709(text)?;
            Some((place.latitude_deg, place.longitude_deg, place.altitude_m))
        };
        assert_eq!(read("+27.2939+112.6931/"), Some((27.2939, 112.6931, None)));
        assert_eq!(
            read("-33.8568+151.2153-012.5/"),
            Some((-33.8568, 151.2153, Some(-12.5)))
        );
        assert_eq!(read("+4030.0-07415.0/"), Some((40.5, -74.25, None)));
        assert_eq!(
            read("+403000-0741500+5CRSWGS_84/"),
            Some((40.5, -74.25, Some(5.0)))
        );
        for text in [
            "",
            "+0+0/",
            "+00.0000+000.0000/",
            "+91.0+010.0/",
            "27.2+112.6",
            "+é1.0+010.0",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(Place::new(f64::NAN, 1.0, None), None);
    }
}
