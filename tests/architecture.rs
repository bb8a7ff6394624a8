//! The structure of `src`, tested: an import goes strictly down the floors, folders of one floor never import
//! each other, and no file or function grows past its budget. Prose alone would not keep it so.

#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// Folder and floor. An import goes to a lower floor; anyone may import `util`.
const FLOORS: &[(&str, u8)] = &[
    ("wire", 0),
    ("sql", 0),
    ("gtid", 0),
    ("util", 0),
    ("config", 1),
    ("session", 1),
    ("net", 1),
    ("topology", 2),
    ("accounts", 2),
    ("routing", 3),
    ("backend", 3),
    ("cluster", 3),
    ("draft", 3),
    ("monitor", 4),
    ("failover", 4),
    ("frontend", 4),
    ("admin", 5),
    ("sandbox", 5),
    ("app", 6),
];

/// These stand above all floors.
const FREE: &[&str] = &["lib", "main"];

const FILE_LINES: usize = 600;
const FUNCTION_LINES: usize = 60;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    file: PathBuf,
    line: usize,
    what: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Name(String),
    Separator,
    Mark(char),
    Literal,
}

#[derive(Debug)]
struct Source {
    file: PathBuf,
    /// The modules from the crate's root down to this file.
    module: Vec<String>,
    tokens: Vec<(Token, usize)>,
    lines: usize,
    /// The first line of the tests, which have no budget.
    tests: Option<usize>,
}

// === the tests ===

#[test]
fn imports_go_down() {
    let findings = imports(&read_tree(&root().join("src")));
    assert!(findings.is_empty(), "\n{}", list(&findings));
}

#[test]
fn files_and_functions_keep_their_budgets() {
    let sources = read_tree(&root().join("src"));
    let files: Vec<_> = sources
        .iter()
        .filter(|source| !source.is_test())
        .map(Source::budgeted_lines)
        .collect();
    let lengths: Vec<_> = sources
        .iter()
        .flat_map(functions)
        .map(|(_, _, lines)| lines)
        .collect();
    println!("lines per file: {}", spread(files));
    println!("lines per function: {}", spread(lengths));
    let findings = budgets(&sources);
    assert!(findings.is_empty(), "\n{}", list(&findings));
}

/// Every line of the fixture that must be rejected says so, and no other is.
#[test]
fn the_fixture_is_rejected_where_it_says() {
    let tree = root().join("tests/architecture_fixture");
    let sources = read_tree(&tree);
    let mut found: Vec<_> = imports(&sources)
        .into_iter()
        .map(|finding| (finding.file, finding.line))
        .collect();
    found.dedup();
    let mut expected = Vec::new();
    for source in &sources {
        let text = std::fs::read_to_string(tree.join(&source.file)).unwrap();
        let marked = text
            .lines()
            .enumerate()
            .filter(|(_, line)| line.contains("// rejected"));
        expected.extend(marked.map(|(index, _)| (source.file.clone(), index + 1)));
    }
    expected.sort();
    assert!(expected.len() >= 10, "the fixture has lost its faults");
    assert_eq!(found, expected);
}

#[test]
fn a_file_or_function_over_budget_is_found() {
    let long = format!("fn long() {{\n{}}}\n", "    call();\n".repeat(FUNCTION_LINES - 1));
    assert_eq!(budgets(&[source("src/sql/a.rs", &long)]).len(), 1);
    let fits = format!("fn fits() {{\n{}}}\n", "    call();\n".repeat(FUNCTION_LINES - 2));
    assert_eq!(budgets(&[source("src/sql/a.rs", &fits)]), []);
    let file = "const A: u8 = 1;\n".repeat(FILE_LINES + 1);
    assert_eq!(budgets(&[source("src/sql/a.rs", &file)]).len(), 1);
    let tested = format!(
        "{}#[cfg(test)]\nmod tests {{\n{long}{file}}}\n",
        "// a\n".repeat(FILE_LINES)
    );
    assert_eq!(budgets(&[source("src/sql/a.rs", &tested)]), []);
    assert_eq!(budgets(&[source("src/sql/tests.rs", &file)]), []);
}

#[test]
fn text_and_comments_are_not_code() {
    let quiet = r####"
        //! crate::app
        /* crate::app /* crate::app */ crate::app */
        const A: &str = "crate::app \" crate::app";
        const B: &str = r#"crate::app " crate::app"#;
        const C: (char, char) = ('"', '\'');
        fn f<'a>(x: &'a str) -> &'a str { x }
        pub(crate) mod m {}
        pub(super) mod n {}
    "####;
    assert_eq!(imports(&[source("wire/a.rs", quiet)]), []);
    assert_eq!(
        imports(&[source("wire/a.rs", &format!("{quiet} use crate::app;"))]).len(),
        1
    );
}

// === imports ===

fn imports(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        let own = source.module.first().map_or("lib", String::as_str);
        if FREE.contains(&own) {
            continue;
        }
        if floor(own).is_none() {
            findings.push(source.finding(1, format!("`{own}` has no floor in tests/architecture.rs")));
            continue;
        }
        for (target, line) in targets(source) {
            if let Some(what) = objection(own, &target) {
                findings.push(source.finding(line, what));
            }
        }
    }
    findings.sort();
    findings
}

fn floor(folder: &str) -> Option<u8> {
    FLOORS
        .iter()
        .find(|(name, _)| *name == folder)
        .map(|(_, floor)| *floor)
}

fn objection(own: &str, target: &str) -> Option<String> {
    if target == own || target == "util" {
        return None;
    }
    let (Some(here), Some(there)) = (floor(own), floor(target)) else {
        return Some(format!(
            "`{own}` imports `{target}`, which is no folder with a floor"
        ));
    };
    match there.cmp(&here) {
        std::cmp::Ordering::Less => None,
        std::cmp::Ordering::Equal => Some(format!("`{own}` imports `{target}` of its own floor {here}")),
        std::cmp::Ordering::Greater => Some(format!(
            "`{own}` (floor {here}) climbs to `{target}` (floor {there})"
        )),
    }
}

/// The top folders that a file's `crate::` and `super::` paths lead to, with their lines.
fn targets(source: &Source) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    // Inline modules that are open, each with the depth of braces outside it.
    let mut inline: Vec<usize> = Vec::new();
    let mut depth = 0usize;
    for (index, (token, line)) in source.tokens.iter().enumerate() {
        match token {
            Token::Mark('{') => {
                if source.opens_module(index) {
                    inline.push(depth);
                }
                depth += 1;
            }
            Token::Mark('}') => {
                depth = depth.saturating_sub(1);
                if inline.last() == Some(&depth) {
                    inline.pop();
                }
            }
            Token::Name(name) if name == "crate" || name == "super" => {
                let continues = index > 0 && source.token(index - 1) == Some(&Token::Separator);
                let visibility = source.token(index + 1) == Some(&Token::Mark(')'));
                if !continues && !visibility {
                    let height = source.module.len() + inline.len();
                    lead(source, index, height, *line, &mut found);
                }
            }
            _ => {}
        }
    }
    found
}

/// Follows one path from `crate` or `super` to the names that it takes from the crate's root, if it gets there.
fn lead(source: &Source, start: usize, mut height: usize, line: usize, found: &mut Vec<(String, usize)>) {
    let mut at = start;
    while let Some(Token::Name(name)) = source.token(at) {
        match name.as_str() {
            "crate" => height = 0,
            "super" => height = height.saturating_sub(1),
            name if height == 0 => return found.push((name.to_owned(), line)),
            _ => return,
        }
        if source.token(at + 1) != Some(&Token::Separator) {
            // `use crate as other` would hide every later path.
            let hidden = source.token(at + 1) == Some(&Token::Name("as".to_owned()));
            if hidden && height == 0 {
                found.push(("crate as".to_owned(), line));
            }
            return;
        }
        at += 2;
    }
    match source.token(at) {
        Some(Token::Mark('*')) if height == 0 => found.push(("*".to_owned(), line)),
        Some(Token::Mark('{')) => lead_group(source, at, height, found),
        _ => {}
    }
}

/// The members of `{a, b::c, super::d}` that stand directly in the group.
fn lead_group(source: &Source, open: usize, height: usize, found: &mut Vec<(String, usize)>) {
    let mut depth = 0usize;
    let mut starts = false;
    for (index, (token, line)) in source.tokens.iter().enumerate().skip(open) {
        match token {
            Token::Mark('{') => depth += 1,
            Token::Mark('}') if depth == 1 => return,
            Token::Mark('}') => depth -= 1,
            _ if depth == 1 && starts => lead(source, index, height, *line, found),
            _ => {}
        }
        starts = depth == 1 && matches!(token, Token::Mark('{' | ','));
        if starts && source.token(index + 1) == Some(&Token::Mark('*')) && height == 0 {
            found.push(("*".to_owned(), *line));
        }
    }
}

// === budgets ===

fn budgets(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| !source.is_test()) {
        let lines = source.budgeted_lines();
        if lines > FILE_LINES {
            findings.push(source.finding(1, format!("{lines} lines before its tests, at most {FILE_LINES}")));
        }
        for (name, line, lines) in functions(source) {
            if lines > FUNCTION_LINES {
                findings.push(source.finding(
                    line,
                    format!("`{name}` has {lines} lines, at most {FUNCTION_LINES}"),
                ));
            }
        }
    }
    findings
}

/// Name, first line and length of each function with a body, tests excluded.
fn functions(source: &Source) -> Vec<(String, usize, usize)> {
    let mut found = Vec::new();
    for (index, (token, line)) in source.tokens.iter().enumerate() {
        let (Token::Name(word), Some(Token::Name(name))) = (token, source.token(index + 1)) else {
            continue;
        };
        if word != "fn" || source.is_test() || source.tests.is_some_and(|tests| *line >= tests) {
            continue;
        }
        if let Some(end) = body_end(source, index) {
            found.push((name.clone(), *line, end + 1 - line));
        }
    }
    found
}

/// The line on which the body of the function at `start` closes.
fn body_end(source: &Source, start: usize) -> Option<usize> {
    let (mut braces, mut brackets) = (0usize, 0usize);
    for (token, line) in source.tokens.iter().skip(start) {
        match token {
            Token::Mark('(' | '[') => brackets += 1,
            Token::Mark(')' | ']') => brackets = brackets.saturating_sub(1),
            Token::Mark(';') if braces == 0 && brackets == 0 => return None,
            Token::Mark('{') => braces += 1,
            Token::Mark('}') if braces == 1 => return Some(*line),
            Token::Mark('}') => braces = braces.saturating_sub(1),
            _ => {}
        }
    }
    None
}

fn spread(mut lengths: Vec<usize>) -> String {
    lengths.sort_unstable();
    let at = |percent: usize| {
        lengths
            .get(lengths.len().saturating_sub(1) * percent / 100)
            .copied()
            .unwrap_or(0)
    };
    format!("median {}, p90 {}, max {}", at(50), at(90), at(100))
}

// === reading ===

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read_tree(root: &Path) -> Vec<Source> {
    let mut texts = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries =
            std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path)
                    .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                texts.insert(path.strip_prefix(root).unwrap_or(&path).to_owned(), text);
            }
        }
    }
    texts
        .iter()
        .map(|(file, text)| Source::new(file.clone(), text))
        .collect()
}

fn source(file: &str, text: &str) -> Source {
    Source::new(PathBuf::from(file), text)
}

fn list(findings: &[Finding]) -> String {
    findings.iter().map(|finding| format!("{finding}\n")).collect()
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "src/{}:{}: {}",
            self.file.display(),
            self.line,
            self.what
        )
    }
}

// === impl Source ===

impl Source {
    fn new(file: PathBuf, text: &str) -> Self {
        let mut module: Vec<_> = file
            .with_extension("")
            .iter()
            .map(|part| part.to_string_lossy().into_owned())
            .collect();
        if module.last().is_some_and(|last| last == "mod") {
            module.pop();
        }
        let tokens = tokens(text);
        let tests = first_tests(&tokens);
        Self {
            file,
            module,
            tokens,
            lines: text.lines().count(),
            tests,
        }
    }

    fn token(&self, index: usize) -> Option<&Token> {
        self.tokens.get(index).map(|(token, _)| token)
    }

    fn opens_module(&self, brace: usize) -> bool {
        let is_mod = |index| matches!(self.token(index), Some(Token::Name(name)) if name == "mod");
        brace >= 2 && matches!(self.token(brace - 1), Some(Token::Name(_))) && is_mod(brace - 2)
    }

    /// The whole file is tests.
    fn is_test(&self) -> bool {
        self.module.iter().any(|part| part == "tests")
    }

    fn budgeted_lines(&self) -> usize {
        self.tests.map_or(self.lines, |tests| tests - 1)
    }

    fn finding(&self, line: usize, what: String) -> Finding {
        Finding {
            file: self.file.clone(),
            line,
            what,
        }
    }
}

/// The line of the first `#[cfg(test)] mod`.
fn first_tests(tokens: &[(Token, usize)]) -> Option<usize> {
    let name = |text: &str| Token::Name(text.to_owned());
    let pattern = [
        Token::Mark('#'),
        Token::Mark('['),
        name("cfg"),
        Token::Mark('('),
        name("test"),
        Token::Mark(')'),
        Token::Mark(']'),
        name("mod"),
    ];
    let matches = |window: &&[(Token, usize)]| window.iter().map(|(token, _)| token).eq(pattern.iter());
    tokens
        .windows(pattern.len())
        .find(matches)
        .map(|window| window[0].1)
}

// === a small lexer of Rust ===

fn tokens(text: &str) -> Vec<(Token, usize)> {
    let chars: Vec<char> = text.chars().collect();
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < chars.len() {
        let start = at;
        let token = next(&chars, &mut at);
        if let Some(token) = token {
            found.push((token, line));
        }
        line += chars[start..at].iter().filter(|&&char| char == '\n').count();
    }
    found
}

/// Moves past one token, blank or comment, and returns the token if it is one.
fn next(chars: &[char], at: &mut usize) -> Option<Token> {
    let peek = |ahead: usize| chars.get(*at + ahead).copied().unwrap_or('\0');
    match (peek(0), peek(1)) {
        (blank, _) if blank.is_whitespace() => {
            *at += 1;
            None
        }
        ('/', '/') => {
            *at = (*at..chars.len())
                .find(|&index| chars[index] == '\n')
                .unwrap_or(chars.len());
            None
        }
        ('/', '*') => {
            *at = comment_end(chars, *at);
            None
        }
        (':', ':') => {
            *at += 2;
            Some(Token::Separator)
        }
        ('"', _) => literal(at, string_end(chars, *at, '"')),
        ('\'', '\\') => literal(at, string_end(chars, *at, '\'')),
        ('\'', _) if peek(2) == '\'' => literal(at, *at + 3),
        // A lifetime: its name follows as a name, which does no harm.
        (first, _) if first.is_alphabetic() || first == '_' => Some(name(chars, at)),
        (mark, _) => {
            *at += 1;
            Some(Token::Mark(mark))
        }
    }
}

fn literal(at: &mut usize, end: usize) -> Option<Token> {
    *at = end;
    Some(Token::Literal)
}

/// A name, or a raw string that starts like one.
fn name(chars: &[char], at: &mut usize) -> Token {
    let length = chars[*at..]
        .iter()
        .take_while(|char| char.is_alphanumeric() || **char == '_')
        .count();
    let text: String = chars[*at..*at + length].iter().collect();
    *at += length;
    let hashes = chars[*at..].iter().take_while(|&&char| char == '#').count();
    if !matches!(text.as_str(), "r" | "br" | "cr") || chars.get(*at + hashes) != Some(&'"') {
        return Token::Name(text);
    }
    *at += hashes + 1;
    let closes = |index: &usize| {
        chars[*index] == '"'
            && chars[index + 1..]
                .iter()
                .take(hashes)
                .filter(|&&char| char == '#')
                .count()
                == hashes
    };
    *at = (*at..chars.len())
        .find(closes)
        .map_or(chars.len(), |index| index + 1 + hashes);
    Token::Literal
}

fn string_end(chars: &[char], start: usize, quote: char) -> usize {
    let mut at = start + 1;
    while at < chars.len() && chars[at] != quote {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

fn comment_end(chars: &[char], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0usize);
    while at < chars.len() {
        let pair = (chars[at], chars.get(at + 1).copied().unwrap_or('\0'));
        let step = match pair {
            ('/', '*') => 2,
            ('*', '/') => 2,
            _ => 1,
        };
        match pair {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {}
        }
        at += step;
        if depth == 0 {
            break;
        }
    }
    at.min(chars.len())
}
