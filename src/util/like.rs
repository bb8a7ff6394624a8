//! SQL's LIKE on bytes: the host patterns of the servers' accounts and of those in the configuration are such.

/// Whether the subject is what the pattern means: `%` any run, `_` any one byte, and `\` takes the next byte as it is.
/// Greedy, with one place to fall back to: linear in practice, and never worse than the product of the lengths.
pub fn like(pattern: &[u8], subject: &[u8]) -> bool {
    let (mut at, mut position) = (0, 0);
    let mut fallback: Option<(usize, usize)> = None;
    loop {
        let step = match pattern.get(at) {
            Some(b'%') => {
                fallback = Some((at + 1, position));
                at += 1;
                continue;
            }
            None if position == subject.len() => return true,
            None => None,
            Some(b'_') => subject.get(position).map(|_| 1),
            Some(b'\\') if at + 1 < pattern.len() => {
                (subject.get(position) == pattern.get(at + 1)).then_some(2)
            }
            Some(byte) => (subject.get(position) == Some(byte)).then_some(1),
        };
        match (step, fallback) {
            (Some(step), _) => (at, position) = (at + step, position + 1),
            (None, Some((after, from))) if from < subject.len() => {
                fallback = Some((after, from + 1));
                (at, position) = (after, from + 1);
            }
            (None, _) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_mean_what_they_mean_in_sql() {
        for (pattern, subject, expected) in [
            ("", "", true),
            ("", "a", false),
            ("%", "", true),
            ("%", "abc", true),
            ("_", "", false),
            ("_", "a", true),
            ("a%", "abc", true),
            ("%c", "abcbc", true),
            ("%b%b%", "abcb", true),
            ("%b%b%", "abc", false),
            ("a\\%", "a%", true),
            ("a\\%", "ab", false),
            ("a\\", "a\\", true),
            ("%%__", "ab", true),
            ("%%__", "a", false),
        ] {
            assert_eq!(
                like(pattern.as_bytes(), subject.as_bytes()),
                expected,
                "{pattern} {subject}"
            );
        }
    }

    #[test]
    fn many_runs_take_no_time() {
        assert!(!like(&b"%a".repeat(100), &b"b".repeat(1000)));
    }
}
