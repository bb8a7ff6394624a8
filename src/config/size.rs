//! Sizes as people write them: `4096`, `16KiB`, `64 MiB`, `1G`. K, M and G are powers of 1024, as on the servers.

const UNITS: [(&str, u64); 11] = [
    ("gib", 1 << 30),
    ("mib", 1 << 20),
    ("kib", 1 << 10),
    ("gb", 1_000_000_000),
    ("mb", 1_000_000),
    ("kb", 1_000),
    ("g", 1 << 30),
    ("m", 1 << 20),
    ("k", 1 << 10),
    ("b", 1),
    ("", 1),
];

/// Bytes, or `None` when it is no size.
pub(super) fn parse(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text
        .find(|each: char| !each.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = UNITS.iter().find(|(name, _)| *name == unit.trim_start())?.1;
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// The shortest spelling that [`parse`] reads back.
pub(super) fn show(bytes: u64) -> String {
    for (name, unit) in [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if bytes >= unit && bytes.is_multiple_of(unit) {
            return format!("{}{name}", bytes / unit);
        }
    }
    bytes.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, bytes) in [
            ("4096", 4096),
            ("16KiB", 16 << 10),
            ("64 MiB", 64 << 20),
            ("1G", 1 << 30),
            ("1kB", 1000),
            ("0", 0),
        ] {
            assert_eq!(parse(text), Some(bytes), "{text}");
        }
        for text in ["", "MiB", "1.5G", "-1", "1TiBB", "99999999999999G", "1 0", "ß"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn shows_the_shortest_spelling() {
        assert_eq!(show(64 << 20), "64MiB");
        assert_eq!(show(1 << 30), "1GiB");
        assert_eq!(show(1000), "1000");
    }
}
