//! Durations as people write them: `500ms`, `10s`, `1.5s`, `5m`, `1h30m`, `2d`.

use std::time::Duration;

const UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

/// `None` when it is no duration; a number without a unit is none, because it would be a guess.
pub fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest.is_empty() || rest.len() > 32 {
        return None;
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest
            .find(|each: char| !each.is_ascii_digit() && each != '.')
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let letters = after
            .find(|each: char| !each.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        total = total.checked_add(one(number, unit.trim())?)?;
        rest = after.trim_start();
    }
    Some(total)
}

fn one(number: &str, unit: &str) -> Option<Duration> {
    let milliseconds = UNITS.iter().find(|(name, _)| *name == unit)?.1;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole = Duration::from_millis(whole.parse::<u64>().ok()?.checked_mul(milliseconds)?);
    if fraction.is_empty() {
        return (!number.ends_with('.')).then_some(whole);
    }
    if fraction.len() > 6 {
        return None;
    }
    let parts = fraction
        .parse::<u64>()
        .ok()?
        .checked_mul(milliseconds)?
        .checked_mul(1_000)?;
    let scale = 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    whole.checked_add(Duration::from_micros(parts / scale))
}

/// The shortest spelling that [`parse`] reads back.
pub(super) fn show(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    for (name, unit) in UNITS.iter().rev() {
        let unit = u128::from(*unit);
        if milliseconds >= unit && milliseconds.is_multiple_of(unit) {
            return format!("{}{name}", milliseconds / unit);
        }
    }
    format!("{milliseconds}ms")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        let milliseconds = |text: &str| parse(text).map(|duration| duration.as_millis());
        assert_eq!(milliseconds("500ms"), Some(500));
        assert_eq!(milliseconds("10s"), Some(10_000));
        assert_eq!(milliseconds("1.5s"), Some(1_500));
        assert_eq!(
            milliseconds("0.25 s"),
            None,
            "a space before the unit is read as two parts"
        );
        assert_eq!(milliseconds("5m"), Some(300_000));
        assert_eq!(milliseconds("1h30m"), Some(5_400_000));
        assert_eq!(milliseconds("2d"), Some(172_800_000));
        assert_eq!(milliseconds("0s"), Some(0));
    }

    #[test]
    fn refuses_the_rest() {
        for text in [
            "",
            "10",
            "s",
            "-1s",
            "1y",
            "1..5s",
            "1.s",
            ".5s",
            "1s!",
            "99999999999999999999s",
            "ß",
            "1,5s",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn shows_the_shortest_spelling() {
        for text in ["500ms", "10s", "5m", "36h", "2d", "90s"] {
            assert_eq!(show(parse(text).unwrap()), text);
        }
    }
}
