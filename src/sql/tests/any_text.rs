//! What must hold for any text.

use proptest::prelude::*;

use super::flags::{FLAGS, flags};
use super::*;

#[test]
fn depth_costs_nothing() {
    let text = format!("SELECT {}1{}", "(SELECT ".repeat(100_000), ")".repeat(100_000));
    assert_eq!(mysql(&text).verb, Verb::Select);
    let text = format!("SELECT {}", "a=1 OR ".repeat(100_000));
    assert_eq!(flags(&mysql(&text)), "-");
}

/// The features without places in the text.
fn facts(features: &Features) -> String {
    let kill = features.kill.map(|kill| (kill.target, kill.id));
    let spans: Vec<_> = features
        .spans()
        .iter()
        .map(|span| (span.function, span.bare))
        .collect();
    format!(
        "{:?} {:?} {:?} {kill:?} {spans:?}",
        features.verb, features.verbs, features.flags
    )
}

/// The text with something put between any two tokens that may be apart.
fn spread(text: &str, between: &[&str], dialect: Dialect) -> String {
    let mut lexer = Lexer::new(text.as_bytes(), dialect);
    let mut spread = String::new();
    let mut last: Option<Token> = None;
    for turn in 0.. {
        let token = lexer.next_token();
        if token.kind == TokenKind::End {
            // What stands behind the last token stays: behind a semicolon a comment counts.
            spread.push_str(last.map_or(text, |last| &text[last.end..]));
            break;
        }
        let gap = last.map_or("", |last| &text[last.end..token.start]);
        let sign = last.is_some_and(|last| last.kind == TokenKind::SystemSign);
        let joined = token.kind == TokenKind::UserVariable && gap.is_empty();
        let in_comment = gap.contains('*');
        if in_comment || sign || joined {
            spread.push_str(gap);
        } else if last.is_some() {
            spread.push_str(between[turn % between.len()]);
        }
        spread.push_str(&text[token.start..token.end]);
        last = Some(token);
    }
    spread
}

proptest! {
    #[test]
    fn blanks_and_comments_change_nothing(
        index in 0..FLAGS.len(),
        order in proptest::collection::vec(0usize..6, 1..6),
    ) {
        let text = FLAGS[index].0;
        prop_assume!(!text.contains("/*!") && !FLAGS[index].1.contains("BROKEN"));
        // Between two semicolons a comment is one more answer.
        prop_assume!(!text.contains(";;") && !text.contains("; ;"));
        let blanks = [" ", "\n", "\t/* GET_LOCK('x', ';') */", " -- @x :=\n", " # ' ` \"\r\n", "/*! */"];
        let between: Vec<_> = order.iter().map(|&index| blanks[index]).collect();
        for dialect in [MYSQL, MARIADB] {
            let changed = spread(text, &between, dialect);
            let (old, new) = (scan(text.as_bytes(), dialect), scan(changed.as_bytes(), dialect));
            prop_assert_eq!(facts(&old), facts(&new), "{}", changed);
        }
    }

    #[test]
    fn case_changes_nothing(index in 0..FLAGS.len(), upper: bool) {
        let text = FLAGS[index].0;
        prop_assume!(!text.contains("/*M!"));
        let changed = if upper { text.to_ascii_uppercase() } else { text.to_ascii_lowercase() };
        prop_assert_eq!(facts(&mysql(text)), facts(&mysql(&changed)));
        prop_assert_eq!(facts(&mariadb(text)), facts(&mariadb(&changed)));
    }

    #[test]
    fn any_bytes_have_features(text in proptest::collection::vec(any::<u8>(), 0..300), plain: bool, ansi: bool) {
        for charset in [Charset::Utf8, Charset::Latin1, Charset::Gbk, Charset::Gb18030, Charset::Sjis] {
            let dialect = Dialect { charset, no_backslash_escapes: plain, ansi_quotes: ansi, ..MARIADB };
            let features = scan(&text, dialect);
            for span in features.spans() {
                prop_assert!(text.get(span.range()).is_some());
            }
        }
    }

    #[test]
    fn any_order_of_words_has_features(words in proptest::collection::vec(0..WORDS.len(), 0..40)) {
        let text: Vec<_> = words.iter().map(|&word| WORDS[word]).collect();
        let text = text.join("");
        let features = mariadb(&text);
        for span in features.spans() {
            prop_assert!(text.get(span.range()).is_some());
        }
    }
}

const WORDS: &[&str] = &[
    " ",
    "SELECT ",
    "SET ",
    "(",
    ")",
    ",",
    ";",
    "@x",
    "@@",
    ".",
    "=",
    ":=",
    "KILL ",
    "QUERY ",
    "5",
    "'a'",
    "`b`",
    "CONNECTION_ID",
    "LAST_INSERT_ID",
    "()",
    "INTO ",
    "FROM ",
    "STATEMENT ",
    "FOR ",
    "/*!",
    "*/",
    "/*",
    "--",
    "#",
    "\n",
    "'",
    "`",
    "\"",
    "\\",
    "BEGIN ",
    "CREATE ",
    "TABLE ",
    "WITH ",
    "AS ",
    "INSERT ",
    "GLOBAL ",
    "$",
    "$$",
];
