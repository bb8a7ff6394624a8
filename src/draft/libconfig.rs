//! The syntax of proxysql.cnf (libconfig): groups, lists and scalars, with the line of each. Whatever is not
//! understood ends the read with its line; nothing recurses or grows beyond its bound.

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub line: usize,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Numbers and booleans as they stand there.
    Scalar(String),
    List(Vec<Node>),
    Group(Vec<(String, Node)>),
}

/// Deeper than any file of ProxySQL goes.
const DEEPEST: usize = 16;

struct Parser<'a> {
    rest: &'a str,
    line: usize,
}

/// The whole file as one group.
pub fn parse(text: &str) -> Result<Node, (usize, String)> {
    let mut parser = Parser { rest: text, line: 1 };
    let settings = parser.settings(None, 0)?;
    Ok(Node {
        line: 1,
        kind: Kind::Group(settings),
    })
}

// === impl Node ===

impl Node {
    /// The setting of this name, letters of either case.
    pub fn get(&self, name: &str) -> Option<&Node> {
        let settings = self.settings();
        let found = settings.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, node)| node)
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        match &self.get(name)?.kind {
            Kind::Scalar(text) => Some(text),
            _ => None,
        }
    }

    /// A number that is not negative, 0 and 1 for booleans.
    pub fn number(&self, name: &str) -> Option<u64> {
        match self.text(name)? {
            text if text.eq_ignore_ascii_case("true") => Some(1),
            text if text.eq_ignore_ascii_case("false") => Some(0),
            text => match text.strip_prefix("0x") {
                Some(digits) => u64::from_str_radix(digits.trim_end_matches('L'), 16).ok(),
                None => text.trim_end_matches('L').parse().ok(),
            },
        }
    }

    pub fn settings(&self) -> &[(String, Node)] {
        match &self.kind {
            Kind::Group(settings) => settings,
            _ => &[],
        }
    }

    pub fn items(&self, name: &str) -> &[Node] {
        match self.get(name).map(|node| &node.kind) {
            Some(Kind::List(items)) => items,
            _ => &[],
        }
    }
}

// === impl Parser ===

impl<'a> Parser<'a> {
    /// `name = value;` up to `end`, or up to the end of the file.
    fn settings(&mut self, end: Option<char>, depth: usize) -> Result<Vec<(String, Node)>, (usize, String)> {
        let mut settings = Vec::new();
        loop {
            self.skip_blank()?;
            match (self.peek(), end) {
                (None, None) => return Ok(settings),
                (None, Some(end)) => return self.fail(format!("`{end}` is missing")),
                (Some(found), Some(end)) if found == end => {
                    self.take(1);
                    return Ok(settings);
                }
                (Some(';' | ','), _) => self.take(1),
                (Some('@'), _) => return self.fail("`@include`: give the included file's text here"),
                _ => settings.push(self.setting(depth)?),
            }
        }
    }

    fn setting(&mut self, depth: usize) -> Result<(String, Node), (usize, String)> {
        let is_name = |each: char| each.is_ascii_alphanumeric() || matches!(each, '_' | '-' | '*');
        let name = self.word(is_name);
        if name.is_empty() {
            return self.fail("a setting's name should stand here");
        }
        self.skip_blank()?;
        if !matches!(self.peek(), Some('=' | ':')) {
            return self.fail(format!("`=` should stand after `{name}`"));
        }
        self.take(1);
        Ok((name.to_owned(), self.value(depth)?))
    }

    fn value(&mut self, depth: usize) -> Result<Node, (usize, String)> {
        self.skip_blank()?;
        if depth >= DEEPEST {
            return self.fail("too many levels");
        }
        let line = self.line;
        let kind = match self.peek() {
            Some('{') => {
                self.take(1);
                Kind::Group(self.settings(Some('}'), depth + 1)?)
            }
            Some('(') => self.list(')', depth)?,
            Some('[') => self.list(']', depth)?,
            Some('"') => Kind::Scalar(self.strings()?),
            _ => {
                let is_part =
                    |each: char| each.is_ascii_alphanumeric() || matches!(each, '.' | '-' | '+' | '_');
                match self.word(is_part) {
                    "" => return self.fail("a value should stand here"),
                    word => Kind::Scalar(word.to_owned()),
                }
            }
        };
        Ok(Node { line, kind })
    }

    fn list(&mut self, end: char, depth: usize) -> Result<Kind, (usize, String)> {
        self.take(1);
        let mut items = Vec::new();
        loop {
            self.skip_blank()?;
            match self.peek() {
                None => return self.fail(format!("`{end}` is missing")),
                Some(found) if found == end => {
                    self.take(1);
                    return Ok(Kind::List(items));
                }
                Some(',') => self.take(1),
                Some(_) => items.push(self.value(depth + 1)?),
            }
        }
    }

    /// Strings beside each other are one.
    fn strings(&mut self) -> Result<String, (usize, String)> {
        let mut text = String::new();
        while self.peek() == Some('"') {
            self.take(1);
            loop {
                match self.peek() {
                    None => return self.fail("a string does not end"),
                    Some('"') => break,
                    Some('\\') => {
                        self.take(1);
                        match self.peek() {
                            Some('n') => text.push('\n'),
                            Some('t') => text.push('\t'),
                            Some('r') => text.push('\r'),
                            Some(other @ ('"' | '\\')) => text.push(other),
                            // ProxySQL's own samples have patterns such as `\s`: kept as they are.
                            Some(other) => text.extend(['\\', other]),
                            None => return self.fail("a string does not end"),
                        }
                    }
                    Some(other) => text.push(other),
                }
                self.advance();
            }
            self.take(1);
            self.skip_blank()?;
        }
        Ok(text)
    }

    fn skip_blank(&mut self) -> Result<(), (usize, String)> {
        loop {
            let blank = self.rest.len() - self.rest.trim_start().len();
            self.take(blank);
            if self.rest.starts_with('#') || self.rest.starts_with("//") {
                self.take(self.rest.find('\n').unwrap_or(self.rest.len()));
            } else if self.rest.starts_with("/*") {
                match self.rest.find("*/") {
                    Some(end) => self.take(end + 2),
                    None => return self.fail("a comment does not end"),
                }
            } else {
                return Ok(());
            }
        }
    }

    fn word(&mut self, is_part: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest;
        let length = rest.find(|each| !is_part(each)).unwrap_or(rest.len());
        self.take(length);
        &rest[..length]
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn advance(&mut self) {
        self.take(self.peek().map_or(0, char::len_utf8));
    }

    /// So many bytes, which end at a character.
    fn take(&mut self, bytes: usize) {
        let (taken, rest) = self.rest.split_at(bytes);
        self.line += taken.matches('\n').count();
        self.rest = rest;
    }

    fn fail<T>(&self, text: impl Into<String>) -> Result<T, (usize, String)> {
        Err((self.line, text.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_value_is_read() {
        let text = "a=1; b : \"x\" \"y\\\"\\s\" # c\n/* two\nlines */ c = ( { d=true, e = 0x10 }, { } );\nf = [ 1, 2 ]";
        let root = parse(text).unwrap();
        assert_eq!(root.number("a"), Some(1));
        assert_eq!(root.text("b"), Some("xy\"\\s"));
        assert_eq!(root.items("c").len(), 2);
        assert_eq!(root.items("c")[0].number("d"), Some(1));
        assert_eq!(root.items("c")[0].number("e"), Some(16));
        assert_eq!(root.items("f").len(), 2);
        assert_eq!(root.get("f").unwrap().line, 4);
    }

    #[test]
    fn faults_have_their_line() {
        for (text, line) in [
            ("a=1\nb", 2),
            ("a={\n", 2),
            ("a=\"x\n", 2),
            ("\n\n=", 3),
            ("/*", 1),
            ("@include \"x\"", 1),
        ] {
            assert_eq!(parse(text).unwrap_err().0, line, "{text}");
        }
        assert!(parse(&"a=(".repeat(100)).is_err());
        assert!(parse(&"a={".repeat(100_000)).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "([a-z=:;,(){}\\[\\]\"\\\\#/*@\n ]|\\PC){0,80}") {
            let _ = parse(&text);
        }
    }
}
