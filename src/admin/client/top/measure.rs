//! Numbers as short as a narrow column wants them.

/// `1234`, `12.3k`, `4.5M`.
pub fn count(number: f64) -> String {
    match number {
        ..9_999.5 => format!("{number:.0}"),
        ..999_950.0 => format!("{:.1}k", number / 1e3),
        ..999_950_000.0 => format!("{:.1}M", number / 1e6),
        _ => format!("{:.1}G", number / 1e9),
    }
}

/// A second's worth: with a fraction when there is little of it.
pub fn rate(number: f64) -> String {
    match number {
        0.0 => "0".to_owned(),
        ..9.95 => format!("{number:.1}"),
        _ => count(number),
    }
}

/// `0.12 ms`, `250 ms`, `12.5 s`, `3 min`, `2 h 5 min`, `4 d 7 h`.
pub fn time(milliseconds: f64) -> String {
    let seconds = milliseconds / 1e3;
    match milliseconds {
        ..9.995 => format!("{milliseconds:.2} ms"),
        ..9_999.5 => format!("{milliseconds:.0} ms"),
        ..99_950.0 => format!("{seconds:.1} s"),
        ..3_600_000.0 => format!("{:.0} min", (seconds / 60.0).floor()),
        ..86_400_000.0 => format!("{} h {} min", whole(seconds / 3600.0), whole(seconds / 60.0) % 60),
        _ => format!(
            "{} d {} h",
            whole(seconds / 86_400.0),
            whole(seconds / 3600.0) % 24
        ),
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn whole(number: f64) -> u64 {
    number as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let counts = [0.0, 999.0, 12_345.0, 4_500_000.0, 2e9].map(count);
        assert_eq!(counts, ["0", "999", "12.3k", "4.5M", "2.0G"]);
        assert_eq!(
            [0.0, 0.25, 9.9, 10.0, 56_789.0].map(rate),
            ["0", "0.2", "9.9", "10", "56.8k"]
        );
        let times = [
            0.0,
            0.123,
            12.0,
            9_999.0,
            12_500.0,
            200_000.0,
            7_500_000.0,
            370_000_000.0,
        ]
        .map(time);
        assert_eq!(
            times,
            [
                "0.00 ms",
                "0.12 ms",
                "12 ms",
                "9999 ms",
                "12.5 s",
                "3 min",
                "2 h 5 min",
                "4 d 6 h"
            ]
        );
    }
}
