//! A statement's text with every match of a pattern replaced.

use crate::config::Rewrite;

/// The new text would be longer than a statement may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the rewritten statement is too long")]
pub struct TooLong;

/// The new text, `None` when nothing matches. It is never longer than `most`.
pub fn rewrite(rewrite: &Rewrite, text: &[u8], most: usize) -> Result<Option<Vec<u8>>, TooLong> {
    let mut matches = rewrite.pattern.regex().captures_iter(text).peekable();
    if matches.peek().is_none() {
        return Ok(None);
    }
    let (mut out, mut copied) = (Vec::with_capacity(text.len().min(most)), 0);
    for captures in matches {
        let whole = captures.get_match();
        out.extend_from_slice(&text[copied..whole.start()]);
        captures.expand(rewrite.with.as_bytes(), &mut out);
        copied = whole.end();
        if out.len() > most {
            return Err(TooLong);
        }
    }
    out.extend_from_slice(&text[copied..]);
    match out.len() > most {
        true => Err(TooLong),
        false => Ok(Some(out)),
    }
}
