//! Paths by a pattern: `*` and `?` within a name, as a shell has them.

use std::io;
use std::path::{Component, Path, PathBuf};

/// Names in a folder that are looked at.
const MOST_NAMES: usize = 10_000;

/// The paths that there are, in the order of their names, at most one more than `most`; a path without a pattern
/// stands for itself, whether there is such a file or not.
pub(super) fn expand(pattern: &Path, most: usize) -> io::Result<Vec<PathBuf>> {
    let mut found = vec![PathBuf::new()];
    for component in pattern.components() {
        let name = component.as_os_str().to_string_lossy();
        if !matches!(component, Component::Normal(_)) || !name.contains(['*', '?']) {
            found.iter_mut().for_each(|path| path.push(component));
            continue;
        }
        let mut next = Vec::new();
        for folder in &found {
            next.extend(in_folder(folder, &name)?);
        }
        next.sort();
        next.truncate(most + 1);
        found = next;
    }
    Ok(found)
}

fn in_folder(folder: &Path, pattern: &str) -> io::Result<Vec<PathBuf>> {
    let place = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(place)?.take(MOST_NAMES) {
        let name = entry?.file_name();
        let text = name.to_string_lossy();
        // What is hidden is not meant, unless it is said.
        let is_hidden = text.starts_with('.') && !pattern.starts_with('.');
        if !is_hidden && matches(pattern, &text) {
            found.push(folder.join(&name));
        }
    }
    Ok(found)
}

/// Goes back to the last `*` only, so that it takes no more than pattern times name.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<_>, Vec<_>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut place) = (0, 0);
    let mut star = None;
    while place < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, place));
                at += 1;
            }
            Some(wanted) if *wanted == '?' || *wanted == name[place] => {
                at += 1;
                place += 1;
            }
            _ => match star {
                Some((after, from)) => {
                    star = Some((after, from + 1));
                    at = after + 1;
                    place = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|left| *left == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_as_in_a_shell() {
        for (pattern, name, fits) in [
            ("*.yaml", "a.yaml", true),
            ("*.yaml", "a.yaml.old", false),
            ("a*b*c", "aXbXbc", true),
            ("a*b*c", "aXbXb", false),
            ("?", "é", true),
            ("?", "", false),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn files_come_in_order_and_hidden_ones_do_not() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["2.yaml", "1.yaml", ".3.yaml", "x.txt"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let names = |pattern: &str| -> Vec<_> {
            let found = expand(&folder.path().join(pattern), 64).unwrap();
            found
                .iter()
                .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
                .collect()
        };
        assert_eq!(names("*.yaml"), ["1.yaml", "2.yaml"]);
        assert_eq!(names("none*"), Vec::<String>::new());
        assert_eq!(names("missing"), ["missing"]);
        assert!(expand(&folder.path().join("no/*.yaml"), 64).is_err());
    }
}
