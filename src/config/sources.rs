//! The files that a configuration was read from. Their lines are counted through, file after file, so that a line is
//! one number everywhere, and is told as its file's own.

use std::path::{Path, PathBuf};

/// In the order in which they were read; the main file is the first.
#[derive(Clone, Debug)]
pub(super) struct Sources(Vec<Source>);

#[derive(Clone, Debug)]
struct Source {
    path: PathBuf,
    /// What its lines are counted from.
    before: usize,
}

// === impl Sources ===

impl Sources {
    pub(super) fn of(main: &Path) -> Self {
        Self(vec![Source {
            path: main.to_owned(),
            before: 0,
        }])
    }

    /// One more file, behind all lines until `end`.
    pub(super) fn add(&mut self, path: &Path, end: usize) {
        let path = path.to_owned();
        self.0.push(Source { path, before: end });
    }

    /// The place of the line's file among all, and the line in it. 0 stands for the main file as a whole.
    pub(super) fn place(&self, line: usize) -> (usize, usize) {
        let after = self.0.iter().skip(1).take_while(|source| source.before < line);
        let file = after.count();
        (file, line - self.0.get(file).map_or(0, |source| source.before))
    }

    pub(super) fn path(&self, line: usize) -> &Path {
        let source = self.0.get(self.place(line).0);
        source.map_or(Path::new(""), |source| &source.path)
    }

    /// `line 3`, and of which file if that is another than the one of `from`.
    pub(super) fn tell(&self, line: usize, from: usize) -> String {
        let (file, own) = self.place(line);
        if file == self.place(from).0 {
            format!("line {own}")
        } else {
            format!("line {own} of {}", self.path(line).display())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_told_as_its_files_own() {
        let mut sources = Sources::of(Path::new("a"));
        sources.add(Path::new("b"), 10);
        sources.add(Path::new("c"), 12);
        assert_eq!((sources.place(0), sources.place(10)), ((0, 0), (0, 10)));
        assert_eq!(
            (sources.place(11), sources.place(12), sources.place(13)),
            ((1, 1), (1, 2), (2, 1))
        );
        assert_eq!(
            (sources.path(11), sources.path(99)),
            (Path::new("b"), Path::new("c"))
        );
        assert_eq!(sources.tell(12, 11), "line 2");
        assert_eq!(sources.tell(12, 1), "line 2 of b");
    }
}
