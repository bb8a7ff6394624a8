//! The state of a scan and the loop that feeds it. What words, calls and variables mean is told next door.

use super::super::dialect::{Dialect, Flavour};
use super::super::features::{Features, Function};
use super::super::flags::Flags;
use super::super::lexer::{Lexer, Token, TokenKind};
use super::super::verb::Verb;
use super::super::word::{self, Word};
use super::notes::Notes;

/// Reads `text` once and says what it would touch. Never fails: what is not understood is flagged.
pub fn scan(text: &[u8], dialect: Dialect) -> Features {
    Scanner::new(text, dialect).run()
}

/// The same, with notes of what classification wants to know beyond the flags.
pub(in crate::sql) fn scan_noting(text: &[u8], dialect: Dialect, notes: &mut Notes) -> Features {
    let mut scanner = Scanner::new(text, dialect);
    scanner.notes = Some(notes);
    scanner.run()
}

pub(super) struct Scanner<'text> {
    pub(super) text: &'text [u8],
    lexer: Lexer<'text>,
    pub(super) features: Features,
    pub(super) statement: Statement,
    /// The token before this one, and where it ended.
    pub(super) last: Seen,
    pub(super) last_end: usize,
    /// The name that is being read, or was read last.
    pub(super) path: Path,
    pub(super) call: Option<Call>,
    /// Where the text ends without the blanks and semicolons that the server cuts off.
    used: usize,
    first_verb: Option<Verb>,
    /// Where to write down what has no flag, for those who ask.
    pub(super) notes: Option<&'text mut Notes>,
}

/// What is known of the statement that is being read.
#[derive(Clone, Copy, Default)]
pub(super) struct Statement {
    pub(super) verb: Verb,
    /// Tokens before this one, opening parentheses in front not counted.
    pub(super) tokens: u32,
    pub(super) depth: u32,
    /// The depth of the first word.
    pub(super) verb_depth: u32,
    /// Bit n: what stands at depth n is a list of select items.
    pub(super) select_lists: u64,
    pub(super) selected: bool,
    /// A comma goes on with the list of an INTO.
    pub(super) into: bool,
    /// The words at hand name accounts, where `@` parts a user from a host.
    pub(super) accounts: bool,
    /// The word TABLE was seen.
    pub(super) table: bool,
    /// A semicolon belongs to the body of a stored program.
    pub(super) body: bool,
    pub(super) target: Target,
    pub(super) set_statement: bool,
    /// The flags before the last user variable, in case an assignment follows it.
    pub(super) before_variable: Flags,
}

/// Where a SET is in its list of assignments.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Target {
    #[default]
    None,
    /// An assignment may start here.
    Start,
    /// Inside what is assigned to, before its equals sign.
    Open { sign: bool, scope: Scope, word: Word },
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Scope {
    #[default]
    None,
    Session,
    Global,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    Nothing,
    Word(Word),
    /// A name that is no keyword: in quotes, after a dot, or after `@@`.
    Name,
    Literal,
    UserVariable,
    SystemSign,
    Assign,
    Symbol(u8),
}

/// A name with its dots.
#[derive(Clone, Copy)]
pub(super) struct Path {
    pub(super) start: usize,
    pub(super) parts: u32,
    /// The last part, and the bytes of it without quotes.
    pub(super) word: Word,
    pub(super) name: (usize, usize),
    /// The part before the last.
    pub(super) owner: Word,
    pub(super) owner_name: (usize, usize),
    /// What stood before the whole.
    pub(super) before: Seen,
    /// It follows `@@`.
    pub(super) system: bool,
}

/// A call of a function worth rewriting, until the token after it is known.
#[derive(Clone, Copy)]
pub(super) struct Call {
    pub(super) function: Function,
    pub(super) start: usize,
    /// It stands where a select item starts.
    pub(super) starts_item: bool,
    pub(super) closed: bool,
}

// === impl Scanner ===

impl<'text> Scanner<'text> {
    pub(super) fn new(text: &'text [u8], dialect: Dialect) -> Self {
        let cut = |byte: &u8| *byte == b';' || matches!(byte, b'\t'..=b'\r' | b' ');
        let used = text
            .iter()
            .rposition(|byte| !cut(byte))
            .map_or(0, |last| last + 1);
        let path = Path {
            start: 0,
            parts: 0,
            word: Word::Other,
            name: (0, 0),
            owner: Word::Other,
            owner_name: (0, 0),
            before: Seen::Nothing,
            system: false,
        };
        Self {
            text,
            lexer: Lexer::new(text, dialect),
            features: Features::default(),
            statement: Statement::default(),
            last: Seen::Nothing,
            last_end: 0,
            path,
            call: None,
            used,
            first_verb: None,
            notes: None,
        }
    }

    fn run(mut self) -> Features {
        loop {
            let token = self.lexer.next_token();
            self.take(token);
            if token.kind == TokenKind::End {
                return self.finish();
            }
        }
    }

    pub(super) fn note(&mut self, write: impl FnOnce(&mut Notes)) {
        if let Some(notes) = &mut self.notes {
            write(notes);
        }
    }

    pub(super) fn bytes(&self, (start, end): (usize, usize)) -> &'text [u8] {
        self.text.get(start..end).unwrap_or_default()
    }

    pub(super) fn mariadb(&self) -> bool {
        self.lexer.dialect().flavour == Flavour::MariaDb
    }

    pub(super) fn flag(&mut self, flags: Flags) {
        self.features.flags.insert(flags);
    }

    fn take(&mut self, token: Token) {
        let word = match token.kind {
            TokenKind::Word => word::classify(self.text, token.start, token.end),
            _ => Word::Other,
        };
        self.follow_call(token, word);
        self.last = match token.kind {
            TokenKind::Word => self.take_word(token, word),
            TokenKind::QuotedName => self.take_quoted_name(token),
            TokenKind::String => self.take_literal(),
            TokenKind::Number => self.take_number(token),
            TokenKind::UserVariable => self.take_user_variable(token),
            TokenKind::SystemSign => {
                self.begin_if_new();
                Seen::SystemSign
            }
            TokenKind::Assign => self.take_assign(),
            TokenKind::Symbol(byte) => self.take_symbol(byte, token),
            TokenKind::End => {
                self.end_statement();
                Seen::Nothing
            }
        };
        self.last_end = token.end;
        if self.last != Seen::Nothing {
            self.statement.tokens = self.statement.tokens.saturating_add(1);
        }
    }

    fn take_word(&mut self, token: Token, word: Word) -> Seen {
        if self.extend_path(token.start, token.end, word) {
            return Seen::Name;
        }
        if self.statement.verb == Verb::Empty {
            self.begin_statement(Verb::of(word), word);
        } else if word != Word::Other {
            self.keyword(word);
        } else {
            self.plain_word(word);
        }
        Seen::Word(word)
    }

    fn take_quoted_name(&mut self, token: Token) -> Seen {
        self.begin_if_new();
        let (start, end) = (token.start + 1, token.end.saturating_sub(1));
        let word = word::classify(self.text, start, end);
        if !self.extend_path(start, end, word) {
            self.path.start = token.start;
            self.plain_word(word);
        }
        Seen::Name
    }

    /// Notes a name. True when it goes on after a dot or `@@`, and so is no keyword whatever it says.
    fn extend_path(&mut self, start: usize, end: usize, word: Word) -> bool {
        let goes_on = self.last == Seen::Symbol(b'.') && self.path.parts > 0;
        if goes_on {
            self.path.owner = self.path.word;
            self.path.owner_name = self.path.name;
            self.path.parts = self.path.parts.saturating_add(1);
        } else {
            self.path.start = start;
            self.path.parts = 1;
            self.path.owner = Word::Other;
            self.path.before = self.last;
            self.path.system = self.last == Seen::SystemSign;
        }
        self.path.word = word;
        self.path.name = (start, end);
        self.statement.into = false;
        if goes_on || self.path.system {
            self.take_part(word);
            return true;
        }
        false
    }

    pub(super) fn take_literal(&mut self) -> Seen {
        self.begin_if_new();
        self.statement.into = false;
        self.forget_kill_id();
        Seen::Literal
    }

    fn take_number(&mut self, token: Token) -> Seen {
        self.begin_if_new();
        self.statement.into = false;
        self.kill_id(token);
        Seen::Literal
    }

    fn take_symbol(&mut self, byte: u8, token: Token) -> Seen {
        match byte {
            b';' => return self.take_semicolon(token),
            b'(' => self.open_parenthesis(),
            b')' => self.close_parenthesis(),
            b',' => self.next_in_list(),
            b'=' => self.close_target(),
            _ => {}
        }
        if byte != b'(' {
            self.begin_if_new();
        }
        if byte != b',' {
            self.statement.into = false;
        }
        if byte != b'.' {
            self.forget_kill_id();
            self.path.parts = 0;
        }
        // Parentheses in front of a SELECT are not yet the statement.
        if self.statement.verb == Verb::Empty {
            Seen::Nothing
        } else {
            Seen::Symbol(byte)
        }
    }

    fn open_parenthesis(&mut self) {
        self.open_call();
        self.statement.depth = self.statement.depth.saturating_add(1);
        self.statement.select_lists &= !self.depth_bit();
    }

    fn close_parenthesis(&mut self) {
        self.statement.select_lists &= !self.depth_bit();
        self.statement.depth = self.statement.depth.saturating_sub(1);
    }

    fn next_in_list(&mut self) {
        if self.statement.verb == Verb::Set && self.statement.depth == 0 {
            self.statement.target = Target::Start;
        }
    }

    /// The bit of the depth in the set of select lists; none for what is nested beyond it.
    pub(super) fn depth_bit(&self) -> u64 {
        1u64.checked_shl(self.statement.depth).unwrap_or(0)
    }
}

// === impl Scanner: where statements begin and end ===

impl Scanner<'_> {
    /// A statement that starts with anything but a word is not known here.
    pub(super) fn begin_if_new(&mut self) {
        if self.statement.verb == Verb::Empty {
            self.begin_statement(Verb::Other, Word::Other);
        }
    }

    fn begin_statement(&mut self, verb: Verb, word: Word) {
        self.statement.tokens = 0;
        self.statement.verb_depth = self.statement.depth;
        self.set_verb(verb);
        self.first_word(verb, word);
    }

    /// The verb so far, which a later word may make more exact.
    pub(super) fn set_verb(&mut self, verb: Verb) {
        self.statement.verb = verb;
    }

    fn take_semicolon(&mut self, token: Token) -> Seen {
        if self.statement.body {
            return Seen::Symbol(b';');
        }
        // Even a comment alone behind it gets an answer of its own; blanks and semicolons do not.
        if token.end < self.used {
            self.flag(Flags::SEVERAL);
        }
        self.end_statement();
        self.statement = Statement::default();
        self.path.parts = 0;
        self.path.system = false;
        Seen::Nothing
    }

    fn end_statement(&mut self) {
        let verb = self.statement.verb;
        if verb == Verb::Empty {
            return;
        }
        self.features.verbs.insert(verb);
        if self.first_verb.is_none() {
            self.first_verb = Some(verb);
        }
    }

    fn finish(mut self) -> Features {
        self.features.verb = self.first_verb.unwrap_or(Verb::Empty);
        if self.lexer.met_version_comment() {
            self.flag(Flags::VERSION_COMMENT);
        }
        // What was read after a change of the reading rules was read by the old ones.
        let flags = self.features.flags;
        let misread = flags.contains(Flags::SETS_DIALECT)
            && flags.intersects(Flags::SEVERAL.union(Flags::SET_STATEMENT));
        if self.lexer.is_broken() || misread {
            self.flag(Flags::BROKEN | Flags::UNKNOWN_CALL);
            self.features.clear_spans();
        }
        let locks = flags.intersects(Flags::GET_LOCK.union(Flags::RELEASE_LOCK));
        if locks && is_single_lock_call(self.text, self.lexer.dialect()) {
            self.flag(Flags::SINGLE_LOCK_CALL);
        }
        self.features
    }
}

/// `SELECT GET_LOCK('name', 10)` and `SELECT RELEASE_LOCK('name')`, perhaps with an alias, and nothing else.
fn is_single_lock_call(text: &[u8], dialect: Dialect) -> bool {
    let mut lexer = Lexer::new(text, dialect);
    let mut next = || {
        let token = lexer.next_token();
        let word = match token.kind {
            TokenKind::Word => word::classify(text, token.start, token.end),
            _ => Word::Other,
        };
        (token.kind, word)
    };
    let called = [next(), next(), next()];
    let starts = matches!(
        called,
        [
            (_, Word::Select),
            (_, Word::GetLock | Word::ReleaseLock),
            (TokenKind::Symbol(b'('), _)
        ]
    );
    if !starts {
        return false;
    }
    loop {
        match next().0 {
            TokenKind::String | TokenKind::Number | TokenKind::UserVariable => {}
            TokenKind::Symbol(b'?' | b',') => {}
            TokenKind::Symbol(b')') => break,
            _ => return false,
        }
    }
    let mut after = next();
    if after.1 == Word::As {
        after = next();
    }
    if matches!(
        after.0,
        TokenKind::Word | TokenKind::QuotedName | TokenKind::String
    ) {
        after = next();
    }
    if after.0 == TokenKind::Symbol(b';') {
        after = next();
    }
    after.0 == TokenKind::End
}
