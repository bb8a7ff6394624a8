//! Cuts a text into tokens the way the server's own lexer does, one byte after the other, without copying.
//! It skips comments, opens executable ones, and remembers when it met something a server may read otherwise.

use std::ops::Range;

use super::dialect::{Charset, Dialect, Flavour};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// An unquoted name or keyword.
    Word,
    /// A name in backticks (or in double quotes under ANSI_QUOTES), quotes included.
    QuotedName,
    String,
    Number,
    /// `@name` in any of its spellings, the sign included.
    UserVariable,
    /// The two signs of `@@name`; the name follows as its own token.
    SystemSign,
    /// `:=`
    Assign,
    /// Any other single byte.
    Symbol(u8),
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    pub kind: TokenKind,
    pub start: usize,
    pub end: usize,
}

#[derive(Debug, Clone)]
pub struct Lexer<'text> {
    text: &'text [u8],
    at: usize,
    dialect: Dialect,
    /// Inside an executable comment: the next `*/` is not code. The servers do not count nesting either.
    in_comment: bool,
    broken: bool,
    version_comment: bool,
    code_comment: bool,
    /// Where the first comments with a hint have it, behind the colon.
    hints: [(usize, usize); HINTS],
    hint_count: usize,
}

/// Comments with hints that are looked at; one is what people write.
const HINTS: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Symbol,
    Space,
    Letter,
    Digit,
    High,
    Quote,
    DoubleQuote,
    Backtick,
    /// `-`, `#`, `/` and `*`, which may start or end a comment.
    Comment,
    At,
    Colon,
    Dollar,
    /// Bytes that no valid statement has outside quotes.
    Foreign,
}

const CLASSES: [Class; 256] = classes();

const fn classes() -> [Class; 256] {
    let mut table = [Class::Symbol; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'\t'..=b'\r' | b' ' => Class::Space,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => Class::Letter,
            b'$' => Class::Dollar,
            b'0'..=b'9' => Class::Digit,
            0x80.. => Class::High,
            b'\'' => Class::Quote,
            b'"' => Class::DoubleQuote,
            b'`' => Class::Backtick,
            b'-' | b'#' | b'/' | b'*' => Class::Comment,
            b'@' => Class::At,
            b':' => Class::Colon,
            0..=8 | 14..=31 | 127 | b'[' | b']' => Class::Foreign,
            _ => Class::Symbol,
        };
        byte += 1;
    }
    table
}

fn class(byte: u8) -> Class {
    CLASSES[usize::from(byte)]
}

fn is_word(byte: u8) -> bool {
    IN_WORDS[usize::from(byte)]
}

const IN_WORDS: [bool; 256] = in_words();

const fn in_words() -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = matches!(CLASSES[byte], Class::Letter | Class::Digit | Class::Dollar);
        byte += 1;
    }
    table
}

// === impl Lexer ===

impl<'text> Lexer<'text> {
    pub fn new(text: &'text [u8], dialect: Dialect) -> Self {
        Self {
            text,
            at: 0,
            dialect,
            in_comment: false,
            broken: false,
            version_comment: false,
            code_comment: false,
            hints: [(0, 0); HINTS],
            hint_count: 0,
        }
    }

    /// Whether the text so far may be read otherwise by a server: what follows is then a guess.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Whether a comment was met that not every server reads as code, so that another server may read the text otherwise.
    pub fn met_version_comment(&self) -> bool {
        self.version_comment
    }

    /// Whether a comment was met that some server may read as code.
    pub fn met_code_comment(&self) -> bool {
        self.code_comment
    }

    /// What stands behind `splitrail:` in the comments so far.
    pub fn hints(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        let hints = self.hints.get(..self.hint_count).unwrap_or_default();
        hints.iter().map(|&(start, end)| start..end)
    }

    /// The next token; [`TokenKind::End`] again and again once the text is used up.
    pub fn next_token(&mut self) -> Token {
        self.skip_blank();
        let start = self.at;
        let Some(byte) = self.peek(0) else {
            self.broken |= self.in_comment;
            return Token {
                kind: TokenKind::End,
                start,
                end: start,
            };
        };
        let kind = match class(byte) {
            Class::Letter | Class::High => self.word(),
            Class::Digit => self.number(),
            Class::Quote => self.string(byte),
            Class::DoubleQuote if self.dialect.ansi_quotes => self.quoted_name(byte),
            Class::DoubleQuote => self.string(byte),
            Class::Backtick => self.quoted_name(byte),
            Class::At => self.variable(),
            Class::Colon if self.peek(1) == Some(b'=') => {
                self.at += 2;
                TokenKind::Assign
            }
            Class::Dollar => self.dollar(),
            Class::Foreign => {
                self.broken = true;
                self.symbol(byte)
            }
            Class::Symbol | Class::Space | Class::Comment | Class::Colon => self.symbol(byte),
        };
        Token {
            kind,
            start,
            end: self.at,
        }
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at.saturating_add(ahead)).copied()
    }

    fn rest(&self) -> &'text [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Moves on, but never past the end.
    fn advance(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes).min(self.text.len());
    }

    fn symbol(&mut self, byte: u8) -> TokenKind {
        self.at += 1;
        TokenKind::Symbol(byte)
    }
}

// === impl Lexer: blanks and comments ===

impl Lexer<'_> {
    fn skip_blank(&mut self) {
        while let Some(&byte) = self.text.get(self.at) {
            let skipped = match class(byte) {
                Class::Letter | Class::Digit | Class::Symbol => return,
                Class::Space => {
                    self.at += 1;
                    true
                }
                Class::Comment => self.skip_comment(byte),
                // Some clients send the zero that ends a C string, and the servers let it pass.
                Class::Foreign if byte == 0 && self.at + 1 == self.text.len() => {
                    self.at += 1;
                    true
                }
                Class::High if byte == 0xa0 && self.dialect.charset == Charset::Latin1 => {
                    self.at += 1;
                    true
                }
                _ => false,
            };
            if !skipped {
                return;
            }
        }
    }

    fn skip_comment(&mut self, byte: u8) -> bool {
        match (byte, self.peek(1)) {
            (b'#', _) => self.skip_line(),
            // Two dashes start a comment only before a blank, a control character or the end.
            (b'-', Some(b'-')) if self.peek(2).is_none_or(|next| self.is_blank_or_control(next)) => {
                self.skip_line();
            }
            (b'/', Some(b'*')) => self.open_comment(),
            (b'*', Some(b'/')) if self.in_comment => {
                self.at += 2;
                self.in_comment = false;
            }
            _ => return false,
        }
        true
    }

    fn is_blank_or_control(&self, byte: u8) -> bool {
        byte <= b' ' || byte == 0x7f || (byte == 0xa0 && self.dialect.charset == Charset::Latin1)
    }

    fn skip_line(&mut self) {
        let rest = self.rest();
        let length = rest
            .iter()
            .position(|&byte| byte == b'\n')
            .map_or(rest.len(), |end| end + 1);
        let start = self.at;
        self.advance(length);
        // One byte for `#`; of two dashes the second is left to the blanks that come before a hint.
        self.note_hint(start + 1, self.at);
    }

    fn note_hint(&mut self, start: usize, end: usize) {
        const MARK: &[u8] = b"splitrail:";
        let Some(comment) = self.text.get(start..end) else {
            return;
        };
        let blanks = comment
            .iter()
            .take_while(|&&byte| byte == b'-' || byte.is_ascii_whitespace())
            .count();
        let marked = comment
            .get(blanks..blanks + MARK.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(MARK));
        if marked && let Some(slot) = self.hints.get_mut(self.hint_count) {
            *slot = (start + blanks + MARK.len(), end);
            self.hint_count += 1;
        }
    }

    fn open_comment(&mut self) {
        let marked_mariadb = self.peek(2) == Some(b'M') && self.peek(3) == Some(b'!');
        if !marked_mariadb && self.peek(2) != Some(b'!') {
            self.advance(2);
            let start = self.at;
            self.skip_block(false);
            return self.note_hint(start, self.at.saturating_sub(2));
        }
        self.code_comment = true;
        self.advance(if marked_mariadb { 4 } else { 3 });
        let (digits, number) = self.version_number();
        self.version_comment |= number > Dialect::OLDEST_SERVER || marked_mariadb;
        let runs = self.dialect.runs_comment(number, marked_mariadb);
        self.broken |= runs.is_none();
        if runs == Some(false) {
            // MySQL sees a plain comment in MariaDB's mark, so nothing nests in it.
            return self.skip_block(!(marked_mariadb && self.dialect.flavour == Flavour::MySql));
        }
        self.advance(digits);
        self.in_comment = true;
    }

    /// Five or six digits make a version; fewer are part of the code.
    fn version_number(&self) -> (usize, u32) {
        let rest = self.rest();
        let digits = rest
            .iter()
            .take(6)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if digits < 5 {
            return (0, 0);
        }
        let number = rest[..digits]
            .iter()
            .fold(0, |sum, &byte| sum * 10 + u32::from(byte - b'0'));
        (digits, number)
    }

    /// Skips to the end of a comment that is not code. One level of comments may be inside a skipped
    /// executable comment, and none inside a plain one.
    fn skip_block(&mut self, may_nest: bool) {
        let mut nested = false;
        while self.at < self.text.len() {
            match (self.peek(0), self.peek(1)) {
                (Some(b'*'), Some(b'/')) => {
                    self.at += 2;
                    if !nested {
                        return;
                    }
                    nested = false;
                }
                (Some(b'/'), Some(b'*')) if may_nest && !nested => {
                    self.at += 2;
                    nested = true;
                }
                _ => self.at += 1,
            }
        }
        self.broken = true;
    }
}

// === impl Lexer: words and numbers ===

impl Lexer<'_> {
    fn word(&mut self) -> TokenKind {
        loop {
            let mut at = self.at;
            while let Some(&byte) = self.text.get(at)
                && is_word(byte)
            {
                at += 1;
            }
            self.at = at;
            match self.text.get(at) {
                Some(&byte @ 0x80..) => {
                    let length = self.high_in_word(byte);
                    if length == 0 {
                        return TokenKind::Word;
                    }
                    self.advance(length);
                }
                _ => return TokenKind::Word,
            }
        }
    }

    fn high_in_word(&mut self, byte: u8) -> usize {
        match self.dialect.charset {
            Charset::Utf8 => 1,
            Charset::Latin1 => usize::from(byte != 0xa0),
            Charset::Other => {
                self.broken = true;
                1
            }
            charset => {
                let length = charset.wide(self.rest());
                self.broken |= length == 0 && !charset.is_single(byte);
                length.max(1)
            }
        }
    }

    /// A number, or a name that starts with digits.
    fn number(&mut self) -> TokenKind {
        let radix: Option<fn(&u8) -> bool> = match (self.peek(0), self.peek(1)) {
            (Some(b'0'), Some(b'x')) => Some(u8::is_ascii_hexdigit),
            (Some(b'0'), Some(b'b')) => Some(|byte| matches!(byte, b'0' | b'1')),
            _ => None,
        };
        if let Some(is_digit) = radix {
            let digits = self
                .rest()
                .iter()
                .skip(2)
                .take_while(|byte| is_digit(byte))
                .count();
            if digits > 0 && !self.word_goes_on(2 + digits) {
                self.advance(2 + digits);
                return TokenKind::Number;
            }
            return self.word();
        }
        let start = self.at;
        self.digits();
        if self.peek(0) == Some(b'.') {
            self.at += 1;
            self.digits();
            self.exponent();
            return TokenKind::Number;
        }
        if self.exponent() || !self.word_goes_on(0) {
            return TokenKind::Number;
        }
        self.at = start;
        self.word()
    }

    fn word_goes_on(&self, ahead: usize) -> bool {
        self.peek(ahead).is_some_and(|byte| byte >= 0x80 || is_word(byte))
    }

    fn digits(&mut self) {
        let count = self
            .rest()
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        self.advance(count);
    }

    fn exponent(&mut self) -> bool {
        let sign = usize::from(matches!(self.peek(1), Some(b'+' | b'-')));
        let is_exponent = matches!(self.peek(0), Some(b'e' | b'E'))
            && self.peek(1 + sign).is_some_and(|byte| byte.is_ascii_digit());
        if is_exponent {
            self.advance(1 + sign);
            self.digits();
        }
        is_exponent
    }

    /// `$` starts a name everywhere, and in later MySQL also a text quoted as `$tag$ .. $tag$`.
    fn dollar(&mut self) -> TokenKind {
        let rest = self.rest();
        let inner = rest
            .iter()
            .skip(1)
            .take_while(|&&byte| byte != b'$' && is_word(byte))
            .count();
        if self.dialect.flavour == Flavour::MariaDb || rest.get(1 + inner) != Some(&b'$') {
            return self.word();
        }
        self.broken |= self.dialect.version < 90_000;
        let (tag, body) = rest.split_at(inner + 2);
        match body.windows(tag.len()).position(|window| window == tag) {
            Some(end) => self.advance(tag.len() + end + tag.len()),
            None => {
                self.broken = true;
                self.at = self.text.len();
            }
        }
        TokenKind::String
    }
}

// === impl Lexer: quotes and variables ===

impl Lexer<'_> {
    fn string(&mut self, quote: u8) -> TokenKind {
        let escapes = !self.dialect.no_backslash_escapes;
        let hides = self.dialect.charset.hides_ascii();
        self.at += 1;
        loop {
            let rest = self.rest();
            let stops = |byte: u8| byte == quote || byte == b'\\';
            let found = if hides {
                rest.iter().position(|&byte| stops(byte) || byte >= 0x80)
            } else {
                rest.iter().position(|&byte| stops(byte))
            };
            let Some(plain) = found else {
                self.at = self.text.len();
                self.broken = true;
                return TokenKind::String;
            };
            self.advance(plain);
            let length = match rest.get(plain) {
                Some(&byte) if byte == quote => {
                    if rest.get(plain + 1) != Some(&quote) {
                        self.at += 1;
                        return TokenKind::String;
                    }
                    2
                }
                // The server skips one byte here, even of a character that has more.
                Some(b'\\') if escapes => 2,
                Some(0x80..) => self.dialect.charset.wide(self.rest()).max(1),
                _ => 1,
            };
            self.advance(length);
        }
    }

    fn quoted_name(&mut self, quote: u8) -> TokenKind {
        self.at += 1;
        loop {
            while let Some(&byte) = self.text.get(self.at)
                && is_word(byte)
            {
                self.at += 1;
            }
            let Some(byte) = self.peek(0) else {
                break;
            };
            let length = if byte == quote {
                if self.peek(1) != Some(quote) {
                    self.at += 1;
                    return TokenKind::QuotedName;
                }
                2
            } else if byte >= 0x80 {
                self.high_in_name(byte)
            } else {
                self.broken |= byte == 0;
                1
            };
            self.advance(length);
        }
        self.broken = true;
        TokenKind::QuotedName
    }

    /// In a quoted name the server trusts the first byte of a character, so a wrong one can swallow the quote.
    fn high_in_name(&mut self, byte: u8) -> usize {
        let charset = self.dialect.charset;
        if matches!(charset, Charset::Latin1 | Charset::Other) {
            self.broken |= charset == Charset::Other;
            return 1;
        }
        let length = charset.wide(self.rest());
        self.broken |= length == 0 && !charset.is_single(byte);
        length.max(1)
    }

    fn variable(&mut self) -> TokenKind {
        if self.peek(1) == Some(b'@') {
            self.at += 2;
            return TokenKind::SystemSign;
        }
        self.at += 1;
        match self.peek(0) {
            Some(quote @ b'`') => {
                self.quoted_name(quote);
            }
            Some(quote @ b'"') if self.dialect.ansi_quotes => {
                self.quoted_name(quote);
            }
            Some(quote @ (b'\'' | b'"')) => {
                self.string(quote);
            }
            _ => {
                self.word();
                while self.peek(0) == Some(b'.') {
                    self.at += 1;
                    self.word();
                }
            }
        }
        TokenKind::UserVariable
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tokens(text: &[u8], dialect: Dialect) -> (Vec<&[u8]>, bool) {
        let mut lexer = Lexer::new(text, dialect);
        let mut found = Vec::new();
        loop {
            let token = lexer.next_token();
            if token.kind == TokenKind::End {
                return (found, lexer.is_broken());
            }
            found.push(&text[token.start..token.end]);
        }
    }

    fn joined(text: &[u8], dialect: Dialect) -> String {
        let (found, broken) = tokens(text, dialect);
        let texts: Vec<_> = found.iter().map(|token| String::from_utf8_lossy(token)).collect();
        format!("{}{}", texts.join("|"), if broken { " broken" } else { "" })
    }

    const MYSQL: Dialect = Dialect {
        flavour: Flavour::MySql,
        version: 90_700,
        charset: Charset::Utf8,
        no_backslash_escapes: false,
        ansi_quotes: false,
    };
    const MARIADB: Dialect = Dialect {
        flavour: Flavour::MariaDb,
        version: 101_106,
        ..MYSQL
    };

    #[test]
    fn mysql_tokens() {
        for (text, expected) in [
            ("a.b=-1.5e-3", "a|.|b|=|-|1.5e-3"),
            (
                "1e5 1e 1e+5 0x1F 0xg 0b01 1a .5",
                "1e5|1e|1e+5|0x1F|0xg|0b01|1a|.|5",
            ),
            ("'a''b' \"c\\\"d\" 'e\\'f'", "'a''b'|\"c\\\"d\"|'e\\'f'"),
            (
                "`a``b` @x @'y z' @`q` @@w.e @a.b$c",
                "`a``b`|@x|@'y z'|@`q`|@@|w|.|e|@a.b$c",
            ),
            ("a--b", "a|-|-|b"),
            ("a-- b\nc --", "a|c"),
            ("a--\tb", "a"),
            ("a#b\nc", "a|c"),
            ("a/*b*/c/* d", "a|c broken"),
            ("/*!80000 a */b", "a|b"),
            ("/*!99999 a /* x */ b */c", "c"),
            ("/*!a*/ b */", "a|b|*|/"),
            ("/*!1234 a*/", "1234|a"),
            ("/*M!100100 a*/b", "b"),
            ("/*!90700a*/", "a"),
            ("/*! a", "a broken"),
            ("@x:=1", "@x|:=|1"),
            ("a\0b", "a|\0|b broken"),
            ("a\0", "a"),
            ("'a", "'a broken"),
            ("'a\\", "'a\\ broken"),
            ("$a $$b '$$", "$a|$$b '$$"),
            ("$t$ x $$ $t$ y", "$t$ x $$ $t$|y"),
            ("n'x' _utf8'x' x'41'", "n|'x'|_utf8|'x'|x|'41'"),
        ] {
            assert_eq!(joined(text.as_bytes(), MYSQL), expected, "{text}");
        }
    }

    #[test]
    fn mariadb_comments() {
        for (text, expected) in [
            ("/*M!100100 a*/b", "a|b"),
            ("/*M! a*/b", "a|b"),
            ("/*!80000 a*/b", "b"),
            ("/*!50701 a*/b", "b"),
            ("/*!50501 a*/b", "a|b"),
            ("/*!100100 a*/b", "a|b"),
            ("/*!120000 a*/b", "b"),
            ("/*m! a*/b", "b"),
        ] {
            assert_eq!(joined(text.as_bytes(), MARIADB), expected, "{text}");
        }
    }

    #[test]
    fn modes_and_character_sets_move_the_end_of_a_string() {
        let plain = Dialect {
            no_backslash_escapes: true,
            ..MYSQL
        };
        assert_eq!(joined(b"'a\\' b", plain), "'a\\'|b");
        let ansi = Dialect {
            ansi_quotes: true,
            ..MYSQL
        };
        assert_eq!(tokens(b"\"a\\\" b", ansi).0.len(), 2);
        let gbk = Dialect {
            charset: Charset::Gbk,
            ..MYSQL
        };
        assert_eq!(
            tokens(b"'\xbf\x5c' b", gbk),
            (vec![&b"'\xbf\x5c'"[..], b"b"], false)
        );
        assert_eq!(tokens(b"'\\\xbf\x5c' b", gbk).0.len(), 1);
        let sjis = Dialect {
            charset: Charset::Sjis,
            ..MYSQL
        };
        assert_eq!(tokens(b"`\x83\x60` b", sjis).0.len(), 2);
        let latin1 = Dialect {
            charset: Charset::Latin1,
            ..MYSQL
        };
        assert_eq!(tokens(b"a\xa0b", latin1).0.len(), 2);
        assert_eq!(tokens(b"a\xa0b", MYSQL).0.len(), 1);
        assert!(tokens(b"`\xe4` b", MYSQL).1);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_their_end(
            text in proptest::collection::vec(any::<u8>(), 0..200),
            charset in 0usize..7,
            flags in 0u8..8,
        ) {
            use Charset::*;
            let dialect = Dialect {
                flavour: if flags & 1 == 0 { Flavour::MySql } else { Flavour::MariaDb },
                version: 0,
                charset: [Utf8, Latin1, Other, Big5, Gb18030, Gbk, Sjis][charset],
                no_backslash_escapes: flags & 2 != 0,
                ansi_quotes: flags & 4 != 0,
            };
            let mut lexer = Lexer::new(&text, dialect);
            let mut at = 0;
            loop {
                let token = lexer.next_token();
                prop_assert!(token.start >= at && token.end <= text.len());
                if token.kind == TokenKind::End { break; }
                prop_assert!(token.end > token.start);
                at = token.end;
            }
        }
    }
}
