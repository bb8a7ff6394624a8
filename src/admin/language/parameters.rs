//! The `?` of a prepared command, and values in their place.

use super::parser::Bad;
use super::tokens::{Token, tokens};

/// Where the `?` stand that no quotes are around.
pub fn parameters(text: &str) -> Result<Vec<usize>, Bad> {
    let placed = tokens(text)?;
    let marks = placed.iter().filter(|placed| placed.token == Token::Mark("?"));
    Ok(marks.map(|placed| placed.at).collect())
}

/// The text with a value for each `?`; `None` is NULL.
pub fn bind(text: &str, places: &[usize], values: &[Option<String>]) -> String {
    let mut bound = String::with_capacity(text.len());
    let mut from = 0;
    for (place, value) in places.iter().zip(values) {
        bound.push_str(text.get(from..*place).unwrap_or_default());
        match value {
            None => bound.push_str("NULL"),
            Some(value) => {
                bound.push('\'');
                bound.push_str(&value.replace('\\', "\\\\").replace('\'', "''"));
                bound.push('\'');
            }
        }
        from = place + 1;
    }
    bound.push_str(text.get(from..).unwrap_or_default());
    bound
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_take_the_places_of_marks_outside_quotes() {
        let text = "SELECT * FROM servers WHERE server = ? AND problem != '?' LIMIT ?";
        let places = parameters(text).unwrap();
        assert_eq!(places.len(), 2);
        let bound = bind(text, &places, &[Some("it's \\".to_owned()), Some("2".to_owned())]);
        let expected = "SELECT * FROM servers WHERE server = 'it''s \\\\' AND problem != '?' LIMIT '2'";
        assert_eq!(bound, expected);
        assert_eq!(bind("a = ?", &[4], &[None]), "a = NULL");
    }
}
