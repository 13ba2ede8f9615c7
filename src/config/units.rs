//! Durations and sizes as the file writes them: a whole number and a unit, `"30s"`, `"64MiB"`.

use std::time::Duration;

const MICROSECONDS: [(&str, u64); 7] = [
    ("us", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("m", 60_000_000),
    ("min", 60_000_000),
    ("h", 3_600_000_000),
    ("d", 86_400_000_000),
];

const BYTES: [(&str, u64); 5] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

/// Reads a duration: a whole number and `us`, `ms`, `s`, `min` (or `m`), `h` or `d`.
///
/// # Errors
/// What was expected instead, to be put behind the key's path.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    match scaled(text, &MICROSECONDS) {
        Some(Some(us)) => Ok(Duration::from_micros(us)),
        Some(None) => Err(format!("{text:?} is too long a time")),
        None => Err(format!("expected a duration such as \"30s\" (units: us, ms, s, min, h, d), found {text:?}")),
    }
}

/// Reads a size: a whole number and `B`, `KiB`, `MiB`, `GiB` or `TiB`.
///
/// # Errors
/// What was expected instead, to be put behind the key's path.
pub fn parse_size(text: &str) -> Result<u64, String> {
    match scaled(text, &BYTES) {
        Some(Some(bytes)) => Ok(bytes),
        Some(None) => Err(format!("{text:?} is too large a size")),
        // "kB" is 1000 bytes to some and 1024 to others (PostgreSQL), so only the unmistakable units are taken.
        None => Err(format!("expected a size such as \"64MiB\" (units: B, KiB, MiB, GiB, TiB), found {text:?}")),
    }
}

/// Writes a duration as [`parse_duration`] reads it, in the largest unit that divides it.
pub fn duration_text(duration: Duration) -> String {
    let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    written(us, &MICROSECONDS, "s")
}

/// Writes a size as [`parse_size`] reads it, in the largest unit that divides it.
pub fn size_text(bytes: u64) -> String {
    written(bytes, &BYTES, "B")
}

/// `None`: not a number and a unit. `Some(None)`: too large.
fn scaled(text: &str, units: &[(&str, u64)]) -> Option<Option<u64>> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start_matches(' '))?;
    if number.is_empty() {
        return None;
    }
    Some(number.parse::<u64>().ok().and_then(|number| number.checked_mul(*factor)))
}

fn written(value: u64, units: &[(&str, u64)], of_zero: &str) -> String {
    if value == 0 {
        return format!("0{of_zero}");
    }
    // The last of equal factors wins: "min", not "m".
    let (unit, factor) = units
        .iter()
        .rev()
        .find(|(_, factor)| value.is_multiple_of(*factor))
        .expect("the smallest unit has the factor one");
    format!("{}{unit}", value / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_number_and_a_unit() {
        for (text, us) in [
            ("0s", 0),
            ("250us", 250),
            ("500ms", 500_000),
            ("30s", 30_000_000),
            ("5m", 300_000_000),
            ("5 min", 300_000_000),
            ("1h", 3_600_000_000),
            ("2d", 172_800_000_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_micros(us)), "{text}");
        }
        for text in ["", "s", "30", "1.5s", "-1s", "30 sec", "1h30m", "30S", "s30"] {
            assert!(parse_duration(text).is_err_and(|e| e.starts_with("expected a duration")), "{text}");
        }
        assert_eq!(parse_duration("999999999999d"), Err("\"999999999999d\" is too long a time".to_owned()));
    }

    #[test]
    fn sizes_are_a_number_and_a_unit() {
        for (text, bytes) in [("0B", 0), ("17B", 17), ("16KiB", 16384), ("64MiB", 64 << 20), ("1GiB", 1 << 30)] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
            assert_eq!(size_text(bytes), text);
        }
        for text in ["64", "64MB", "64kB", "64M", "MiB", "1.5GiB"] {
            assert!(parse_size(text).is_err_and(|e| e.starts_with("expected a size")), "{text}");
        }
        assert_eq!(parse_size("99999999999999TiB"), Err("\"99999999999999TiB\" is too large a size".to_owned()));
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        for us in [0, 1, 999, 1000, 61_000_000, 60_000_000, 3_600_000_000, 86_400_000_000, 90_000_000_000] {
            let duration = Duration::from_micros(us);
            assert_eq!(parse_duration(&duration_text(duration)), Ok(duration));
        }
        assert_eq!(duration_text(Duration::from_secs(600)), "10min");
        assert_eq!(duration_text(Duration::from_millis(1500)), "1500ms");
    }
}
