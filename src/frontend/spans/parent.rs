//! Which span of the application a statement belongs to: a `traceparent` in its query attributes, or in a comment
//! at the end or the beginning of its text, as libraries write it.

use crate::wire::query::{Attributes, Value};

/// What a `traceparent` of the W3C says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    pub trace: u128,
    pub span: u64,
    /// The application keeps this trace.
    pub is_sampled: bool,
}

/// Comments are looked at so far from either end of a text.
const LONGEST: usize = 4 << 10;
const KEY: &[u8] = b"traceparent";
/// `00-` and 32 digits, `-` and 16 digits, `-` and two.
const LENGTH: usize = 55;

// === impl Parent ===

impl Parent {
    /// Later versions may have more behind, which is left alone.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (known, more) = value.split_at_checked(LENGTH)?;
        let parts: [&[u8]; 4] = {
            let mut parts = known.split(|byte| *byte == b'-');
            [parts.next()?, parts.next()?, parts.next()?, parts.next()?]
        };
        if parts.map(<[u8]>::len) != [2, 32, 16, 2] {
            return None;
        }
        let [version, trace, span, flags] = [hex(parts[0])?, hex(parts[1])?, hex(parts[2])?, hex(parts[3])?];
        let is_cut = !(more.is_empty() || version > 0 && more[0] == b'-');
        if version == 0xff || is_cut || trace == 0 || span == 0 {
            return None;
        }
        Some(Self {
            trace,
            span: u64::try_from(span).ok()?,
            is_sampled: flags & 1 == 1,
        })
    }

    /// In a comment that ends the text, or one that begins it.
    pub fn of_text(text: &[u8]) -> Option<Self> {
        let is_blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == b';';
        let end = text
            .iter()
            .rposition(|byte| !is_blank(byte))
            .map_or(0, |last| last + 1);
        let text = &text[..end];
        if text.ends_with(b"*/") {
            let near = &text[end.saturating_sub(LONGEST)..end - 2];
            let start = near.windows(2).rposition(|pair| pair == b"/*");
            if let Some(found) = start.and_then(|start| Self::of_comment(&near[start + 2..])) {
                return Some(found);
            }
        }
        let start = text.iter().position(|byte| !is_blank(byte))?;
        let rest = text[start..].strip_prefix(b"/*")?;
        let near = &rest[..rest.len().min(LONGEST)];
        let end = near.windows(2).position(|pair| pair == b"*/")?;
        Self::of_comment(&near[..end])
    }

    /// `traceparent='..'` among pairs with commas between them.
    fn of_comment(comment: &[u8]) -> Option<Self> {
        let pair = comment.split(|byte| *byte == b',').find_map(|pair| {
            let (key, value) = pair.split_at(pair.iter().position(|byte| *byte == b'=')?);
            (key.trim_ascii() == KEY).then(|| value[1..].trim_ascii())
        })?;
        Self::parse(pair.strip_prefix(b"'")?.strip_suffix(b"'")?)
    }

    pub fn of_attributes(attributes: Attributes<'_>) -> Option<Self> {
        attributes
            .filter(|attribute| attribute.name.eq_ignore_ascii_case(KEY))
            .find_map(|attribute| match attribute.value {
                Value::Text(text) => Self::parse(text),
                _ => None,
            })
    }
}

/// Lower case alone is allowed.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number: u128, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn good() -> Parent {
        Parent {
            trace: 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736,
            span: 0x00f0_67aa_0ba9_02b7,
            is_sampled: true,
        }
    }

    #[test]
    fn a_traceparent_is_read_as_the_standard_says() {
        assert_eq!(Parent::parse(GOOD.as_bytes()), Some(good()));
        let unsampled = Parent {
            is_sampled: false,
            ..good()
        };
        assert_eq!(
            Parent::parse(GOOD.replace("-01", "-02").as_bytes()),
            Some(unsampled)
        );
        let later = format!("{}-more", GOOD.replace("00-4", "01-4"));
        assert_eq!(Parent::parse(later.as_bytes()), Some(good()));
        for bad in [
            "",
            &GOOD[..54],
            &format!("{GOOD}-more"),
            &GOOD.replace("00-4", "ff-4"),
            &GOOD.to_uppercase(),
            &GOOD.replace('-', "_"),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        ] {
            assert_eq!(Parent::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn comments_at_either_end_count_and_literals_do_not() {
        let of = |text: String| Parent::of_text(text.as_bytes());
        assert_eq!(of(format!("SELECT 1 /*traceparent='{GOOD}'*/")), Some(good()));
        assert_eq!(
            of(format!("SELECT 1 /*db='x', traceparent = '{GOOD}',z='y'*/ ;\n")),
            Some(good())
        );
        assert_eq!(of(format!(" /* traceparent='{GOOD}' */ SELECT 1")), Some(good()));
        assert_eq!(
            of(format!("/*traceparent='{GOOD}'*/ SELECT /* no */ 1 /*other*/")),
            Some(good())
        );
        assert_eq!(of(format!("SELECT '/*traceparent=\\'{GOOD}\\'*/'")), None);
        assert_eq!(of(format!("SELECT \"/*traceparent='{GOOD}'*/\"")), None);
        assert_eq!(of(format!("SELECT 1 /*xtraceparent='{GOOD}'*/")), None);
        assert_eq!(of(format!("SELECT 1 /*traceparent={GOOD}*/")), None);
        assert_eq!(of("/*/".to_owned()), None);
        assert_eq!(of(";".to_owned()), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[ /*',=;a-f0-9t-]{0,80}") {
            let _ = Parent::of_text(text.as_bytes());
            let _ = Parent::of_text(format!("{text}traceparent='{GOOD}{text}").as_bytes());
            let _ = Parent::parse(text.as_bytes());
        }
    }
}
