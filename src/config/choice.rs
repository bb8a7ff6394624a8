//! A setting that is one word out of a few.

/// The words and what they mean. The first is not special; defaults are given where a setting is read.
pub(super) trait Choice: Copy + 'static {
    const WORDS: &'static [(&'static str, Self)];

    fn from_word(word: &str) -> Option<Self> {
        Self::WORDS
            .iter()
            .find(|(each, _)| *each == word)
            .map(|(_, value)| *value)
    }

    fn words() -> Vec<&'static str> {
        Self::WORDS.iter().map(|(word, _)| *word).collect()
    }
}

/// Yes or no, in every spelling that a YAML writer may have grown used to.
impl Choice for bool {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("true", true),
        ("false", false),
        ("on", true),
        ("off", false),
        ("yes", true),
        ("no", false),
    ];
}
