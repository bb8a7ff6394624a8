//! `${NAME}` and `${NAME:-default}` in a value, replaced from the environment.

use zeroize::Zeroizing;

/// Why a value cannot be completed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// The variable has no value, and there is no default.
    Unset(String),
    /// A `${` that is not closed or names no variable.
    Form,
}

/// `$${` stands for a plain `${`. A variable that is set to nothing counts as unset where there is a default.
pub(super) fn substitute(
    raw: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Zeroizing<String>, Unusable> {
    let mut text = Zeroizing::new(String::with_capacity(raw.len()));
    let mut rest = raw;
    while let Some(at) = rest.find("${") {
        let (before, after) = (&rest[..at], &rest[at + 2..]);
        if let Some(before) = before.strip_suffix('$') {
            text.push_str(before);
            text.push_str("${");
            rest = after;
            continue;
        }
        text.push_str(before);
        let (inside, after) = after.split_once('}').ok_or(Unusable::Form)?;
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        if !is_variable(name) {
            return Err(Unusable::Form);
        }
        let set = environment(name)
            .filter(|value| default.is_none() || !value.is_empty())
            .map(Zeroizing::new);
        match (set, default) {
            (Some(value), _) => text.push_str(&value),
            (None, Some(default)) => text.push_str(default),
            (None, None) => return Err(Unusable::Unset(name.to_owned())),
        }
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}

fn is_variable(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.is_empty() && name.bytes().all(allowed) && !name.starts_with(|each: char| each.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(raw: &str) -> Result<String, Unusable> {
        let environment = |name: &str| match name {
            "A" => Some("1".to_owned()),
            "EMPTY" => Some(String::new()),
            "NESTED" => Some("${A}".to_owned()),
            _ => None,
        };
        substitute(raw, &environment).map(|text| (*text).clone())
    }

    #[test]
    fn variables_are_replaced_once() {
        assert_eq!(replaced("x${A}y${A}"), Ok("x1y1".to_owned()));
        assert_eq!(replaced("${NESTED}"), Ok("${A}".to_owned()));
        assert_eq!(replaced("${EMPTY}"), Ok(String::new()));
        assert_eq!(replaced("${EMPTY:-d}${NONE:-}"), Ok("d".to_owned()));
        assert_eq!(
            replaced("$A $$ pa$$word $${A}"),
            Ok("$A $$ pa$$word ${A}".to_owned())
        );
    }

    #[test]
    fn slips_are_named() {
        assert_eq!(replaced("${NONE}"), Err(Unusable::Unset("NONE".to_owned())));
        for raw in ["${A", "${}", "${1A}", "${A B}", "${é}"] {
            assert_eq!(replaced(raw), Err(Unusable::Form), "{raw}");
        }
    }
}
