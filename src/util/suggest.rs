//! The word that was probably meant.

/// Words longer than this are not compared: nobody mistypes a setting that far.
const LONGEST: usize = 64;

/// The candidate nearest to `word`, when it is near enough to be worth a guess.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > LONGEST {
        return None;
    }
    let word = word.to_ascii_lowercase().replace('-', "_");
    let candidates: Vec<_> = candidates.into_iter().collect();
    let mut longer = candidates.iter().filter(|candidate| candidate.starts_with(&word));
    // A word that was not ended, if it can be ended in one way only.
    if let (3.., Some(candidate), None) = (word.len(), longer.next(), longer.next()) {
        return Some(candidate);
    }
    let allowed = (word.len() / 3).clamp(1, 4);
    candidates
        .into_iter()
        .map(|candidate| (distance(&word, &candidate.replace('-', "_")), candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions, replacements and swaps of neighbours that turn one word into the other.
fn distance(left: &str, right: &str) -> usize {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    let mut before: Vec<usize> = Vec::new();
    let mut previous: Vec<usize> = (0..=right.len()).collect();
    for (row, byte) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, other) in right.iter().enumerate() {
            let replaced = previous[column] + usize::from(byte != other);
            let mut least = replaced.min(previous[column + 1] + 1).min(current[column] + 1);
            if row > 0 && column > 0 && *byte == right[column - 1] && left[row - 1] == *other {
                least = least.min(before[column - 1] + 1);
            }
            current.push(least);
        }
        before = std::mem::replace(&mut previous, current);
    }
    previous[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_finger_are_recognised() {
        let keys = ["weight", "address", "name", "role"];
        assert_eq!(nearest("wieght", keys), Some("weight"));
        assert_eq!(nearest("adress", keys), Some("address"));
        assert_eq!(nearest("Role", keys), Some("role"));
        assert_eq!(nearest("nmae", keys), Some("name"));
        assert_eq!(nearest("timeout", keys), None);
        assert_eq!(nearest("x", ["y"]), None);
        assert_eq!(nearest("auto", ["automatic", "manual"]), Some("automatic"));
        assert_eq!(nearest("verify", ["verify-ca", "verify-identity"]), None);
        assert_eq!(
            nearest("verify_ca", ["verify-ca", "verify-identity"]),
            Some("verify-ca")
        );
    }

    #[test]
    fn odd_words_do_no_harm() {
        assert_eq!(nearest("", ["name"]), None);
        assert_eq!(nearest(&"x".repeat(10_000), ["name"]), None);
        assert_eq!(nearest("größe", ["name"]), None);
    }
}
