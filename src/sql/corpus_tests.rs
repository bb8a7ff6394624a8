//! Runs the corpus of statements in `tests/corpus/routing.txt`, and turns its statements over in every way that
//! must not change what they are.

use proptest::prelude::*;

use super::*;

const CORPUS: &str = include_str!("../../tests/corpus/routing.txt");

#[derive(Clone)]
struct Line {
    number: usize,
    text: Vec<u8>,
    dialects: Vec<Dialect>,
    class: Class,
    reason: String,
}

fn corpus() -> Vec<Line> {
    let mut block = None;
    let mut lines = Vec::new();
    for (index, line) in CORPUS.lines().enumerate() {
        if let Some(header) = line.strip_prefix("== ") {
            block = Some(header);
        } else if let Some(header) = block
            && !line.is_empty()
            && !line.starts_with("# ")
        {
            lines.push(read(index + 1, header, line));
        }
    }
    lines
}

fn read(number: usize, header: &str, text: &str) -> Line {
    let words: Vec<&str> = header.split(' ').collect();
    let [flavour, options @ .., class, reason] = words.as_slice() else {
        panic!("line {number}: {header}");
    };
    let mut dialect = Dialect::default();
    let mut escaped = false;
    for option in options {
        match *option {
            "ansi_quotes" => dialect.ansi_quotes = true,
            "no_backslash_escapes" => dialect.no_backslash_escapes = true,
            "escaped" => escaped = true,
            charset => dialect.charset = Charset::from_name(charset.as_bytes()),
        }
    }
    let mysql = Dialect {
        flavour: Flavour::MySql,
        version: 90_700,
        ..dialect
    };
    let mariadb = Dialect {
        flavour: Flavour::MariaDb,
        version: 101_106,
        ..dialect
    };
    Line {
        number,
        text: if escaped { unescape(text) } else { text.into() },
        dialects: match *flavour {
            "mysql" => vec![mysql],
            "mariadb" => vec![mariadb],
            _ => vec![mysql, mariadb],
        },
        class: class_of(class),
        reason: (*reason).to_owned(),
    }
}

fn class_of(name: &str) -> Class {
    match name {
        "read" => Class::Read,
        "readif" => Class::ReadIf,
        "last" => Class::Last,
        "begin" => Class::Begin { read_only: None },
        "begin-read-only" => Class::Begin {
            read_only: Some(true),
        },
        "begin-read-write" => Class::Begin {
            read_only: Some(false),
        },
        "session" => Class::Session,
        "write" => Class::Write,
        other => panic!("no class {other}"),
    }
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.chars();
    while let Some(char) = rest.next() {
        if char != '\\' {
            bytes.push(char as u8);
            continue;
        }
        match rest.next() {
            Some('n') => bytes.push(b'\n'),
            Some('t') => bytes.push(b'\t'),
            Some('x') => {
                let digits: String = rest.by_ref().take(2).collect();
                bytes.push(u8::from_str_radix(&digits, 16).unwrap());
            }
            Some(other) => bytes.push(other as u8),
            None => {}
        }
    }
    bytes
}

#[test]
fn the_corpus_has_the_classes_it_says() {
    let lines = corpus();
    assert!(lines.len() >= 600, "only {} statements", lines.len());
    let mut wrong = String::new();
    for line in &lines {
        for &dialect in &line.dialects {
            let facts = analyse(&line.text, dialect);
            let reason = format!("{:?}", facts.reason);
            if facts.class != line.class || reason != line.reason {
                wrong.push_str(&format!(
                    "\nline {} ({:?}): {}\n  expected {:?} {}\n  found    {:?} {reason}   [{:?}]",
                    line.number,
                    dialect.flavour,
                    String::from_utf8_lossy(&line.text),
                    line.class,
                    line.reason,
                    facts.class,
                    facts.features,
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_cache_says_what_an_analysis_says() {
    let mut cache = FactsCache::new(100);
    for line in corpus() {
        for &dialect in &line.dialects {
            let facts = analyse(&line.text, dialect);
            for _ in 0..2 {
                assert_eq!(*cache.look(&line.text, dialect), facts, "line {}", line.number);
            }
        }
    }
}

/// Pieces that a statement may be changed with.
const PIECES: &[&str] = &[
    " ",
    "\n",
    "/* x */",
    "(",
    ")",
    ",",
    ";",
    "'a'",
    "\"b\"",
    "1",
    "2.5",
    "`c`",
    "@v",
    "@@",
    ".",
    "=",
    ":=",
    "f(",
    "SELECT ",
    "FROM ",
    " FOR UPDATE",
    " INTO ",
    "/*!",
    "*/",
    "/*",
    "-- ",
    "#",
    "'",
    "\\",
    "1, 2, 3",
    "('a', 'b')",
    " splitrail: primary ",
    "WITH ",
    "AS ",
    "EXPLAIN ",
    "ROUTE ",
    "SET ",
    "SHOW ",
    "nextval",
    "GET_LOCK(",
    "?",
    "$$",
    "SPLITRAIL ",
    "UNION ",
    "VALUES ",
    "TABLE ",
    "IN (",
    "x'41'",
    "0x1f",
    "1e5",
    "\u{e4}",
];

fn changed(text: &[u8], changes: &[(usize, usize, usize)]) -> Vec<u8> {
    let mut text = text.to_vec();
    for &(at, cut, piece) in changes {
        let at = at % (text.len() + 1);
        let end = (at + cut % 4).min(text.len());
        text.splice(at..end, PIECES[piece % PIECES.len()].bytes());
    }
    text
}

/// The text with every literal another one of its kind, the blanks other blanks, and more in lists.
fn same_shape(text: &[u8], dialect: Dialect, seed: usize) -> Vec<u8> {
    let mut lexer = Lexer::new(text, dialect);
    let mut other = Vec::new();
    let (mut end, mut last) = (0, TokenKind::End);
    for turn in seed.. {
        let token = lexer.next_token();
        if token.kind == TokenKind::End {
            other.extend_from_slice(&text[end..]);
            return other;
        }
        let gap = &text[end..token.start];
        if gap.is_empty() || gap.iter().any(|byte| !byte.is_ascii_whitespace()) {
            other.extend_from_slice(gap);
        } else {
            other.extend_from_slice([&b" "[..], b"\n", b"/* y */ ", b" -- z\n"][turn % 4]);
        }
        let quote = text[token.start];
        match token.kind {
            TokenKind::Number if last != TokenKind::Symbol(b'.') => {
                other.extend_from_slice([&b"7"[..], b"12345", b"8.25"][turn % 3]);
            }
            TokenKind::String if quote == b'\'' || quote == b'"' => {
                other.push(quote);
                other.extend_from_slice([&b""[..], b"x", b"; DELETE", b"/* "][turn % 4]);
                other.push(quote);
            }
            _ => other.extend_from_slice(&text[token.start..token.end]),
        }
        end = token.end;
        last = token.kind;
    }
    other
}

fn changes() -> impl Strategy<Value = Vec<(usize, usize, usize)>> {
    proptest::collection::vec((any::<usize>(), 0usize..8, any::<usize>()), 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn equal_keys_have_equal_facts(
        index: prop::sample::Index,
        changes in changes(),
        more in changes(),
        seed in 0usize..100,
    ) {
        let lines = LINES.with(|lines| lines.clone());
        let line = &lines[index.index(lines.len())];
        let text = changed(&line.text, &changes);
        for &dialect in &line.dialects {
            let mut cache = FactsCache::new(100);
            let first = cache.look(&text, dialect);
            prop_assert_eq!(&*first, &analyse(&text, dialect));
            for other in [same_shape(&text, dialect, seed), changed(&text, &more), line.text.clone()] {
                let facts = analyse(&other, dialect);
                prop_assert_eq!(&*cache.look(&other, dialect), &facts, "{}", String::from_utf8_lossy(&other));
            }
        }
    }

    #[test]
    fn a_write_is_one_however_it_is_written(index: prop::sample::Index, order in 0usize..1_000, upper: bool) {
        let lines = LINES.with(|lines| lines.clone());
        let lines: Vec<_> = lines.iter().filter(|line| !line.class.is_read()).collect();
        let line = lines[index.index(lines.len())];
        for &dialect in &line.dialects {
            let mut text = spread(&line.text, dialect, order);
            if line.text.is_ascii() && !line.text.windows(3).any(|window| window == b"/*M") {
                if upper { text.make_ascii_uppercase() } else { text.make_ascii_lowercase() }
            }
            let facts = analyse(&text, dialect);
            prop_assert!(!facts.class.is_read(), "line {}: {}", line.number, String::from_utf8_lossy(&text));
        }
    }

    #[test]
    fn any_bytes_have_facts(text in proptest::collection::vec(any::<u8>(), 0..200), ansi: bool, plain: bool) {
        for charset in [Charset::Utf8, Charset::Latin1, Charset::Gbk, Charset::Sjis, Charset::Other] {
            let dialect = Dialect {
                charset,
                ansi_quotes: ansi,
                no_backslash_escapes: plain,
                version: 101_106,
                flavour: Flavour::MariaDb,
            };
            analyse(&text, dialect);
        }
    }

    #[test]
    fn any_order_of_pieces_has_facts(pieces in proptest::collection::vec(0..PIECES.len(), 0..40)) {
        let text: Vec<&str> = pieces.iter().map(|&piece| PIECES[piece]).collect();
        let text = text.concat();
        for line in LINES.with(|lines| lines[..2].to_vec()) {
            analyse(text.as_bytes(), line.dialects[0]);
            digest_text(text.as_bytes(), line.dialects[0]);
        }
    }
}

thread_local! {
    static LINES: std::rc::Rc<[Line]> = corpus().into();
}

/// The text with comments and blanks put where there were blanks.
fn spread(text: &[u8], dialect: Dialect, order: usize) -> Vec<u8> {
    let mut lexer = Lexer::new(text, dialect);
    let mut spread = Vec::new();
    let mut end = 0;
    for turn in order.. {
        let token = lexer.next_token();
        let gap = &text[end..token.start];
        let blank = !gap.is_empty() && gap.iter().all(u8::is_ascii_whitespace);
        if blank && token.kind != TokenKind::End {
            let blanks: [&[u8]; 6] = [b" ", b"\n\t", b"/**/", b" /* ' */ ", b" -- `\n", b" # \"\n"];
            spread.extend_from_slice(blanks[(turn * 7 + turn / 3) % blanks.len()]);
        } else {
            spread.extend_from_slice(gap);
        }
        spread.extend_from_slice(&text[token.start..token.end]);
        end = token.end;
        if token.kind == TokenKind::End {
            spread.extend_from_slice(&text[end..]);
            break;
        }
    }
    spread
}

const MYSQL: Dialect = Dialect {
    flavour: Flavour::MySql,
    version: 90_700,
    charset: Charset::Utf8,
    no_backslash_escapes: false,
    ansi_quotes: false,
};

#[test]
fn hints_are_found_in_any_comment() {
    for text in [
        "/* splitrail: server=db2, max_lag=2s */ SELECT 1",
        "SELECT /*splitrail:server=db2 max_lag=2s*/ 1",
        "SELECT 1 -- splitrail: max_lag=2s, server=db2",
        "SELECT 1 # SplitRail: max_lag=2s,server=db2\n FROM t",
        "SELECT /* splitrail: server=db1 */ 1 /* splitrail: server=db2, max_lag=2s */",
    ] {
        let hint = analyse(text.as_bytes(), MYSQL).hint;
        assert_eq!(hint.target, Some(HintTarget::Server(b"db2"[..].into())), "{text}");
        assert_eq!(hint.max_lag, Some(std::time::Duration::from_secs(2)), "{text}");
    }
    for text in [
        "SELECT '/* splitrail: primary */'",
        "SELECT /*+ splitrail: primary */ 1",
        "SELECT /* my splitrail: primary */ 1",
        "SELECT `/* splitrail: primary */`",
    ] {
        assert!(analyse(text.as_bytes(), MYSQL).hint.is_empty(), "{text}");
    }
    let bad = analyse(b"SELECT 1 /* splitrail: master */", MYSQL).hint;
    assert_eq!((bad.target, bad.problem), (None, Some(BadHint::UnknownWord)));
}

#[test]
fn own_statements_are_read_exactly() {
    let own = |text: &str| analyse(text.as_bytes(), MYSQL).own;
    let set = |pairs: &[(&str, Option<&str>)]| {
        let settings = pairs.iter().map(|(name, value)| Setting {
            name: (*name).into(),
            value: value.map(Into::into),
        });
        Some(Own::SetSplitrail(settings.collect()))
    };
    assert_eq!(
        own("SET splitrail.After = 'u:1-5'"),
        set(&[("after", Some("u:1-5"))])
    );
    assert_eq!(
        own("set @@session.splitrail.trace := 1, splitrail.consistency = DEFAULT;"),
        set(&[("trace", Some("1")), ("consistency", None)])
    );
    assert!(matches!(
        own("SET splitrail.a = 'x\\'y'"),
        Some(Own::Malformed(_))
    ));
    assert!(matches!(own("SET splitrail.a = @x"), Some(Own::Malformed(_))));
    assert!(matches!(own("SHOW SPLITRAIL"), Some(Own::Malformed(_))));
    assert_eq!(own("SHOW SPLITRAIL GTID;"), Some(Own::ShowGtid));
    assert_eq!(own("SET GLOBAL splitrail.a = 1"), None);
    assert_eq!(own("SELECT 'SHOW SPLITRAIL GTID'"), None);
    assert_eq!(own("CREATE PROCEDURE p() SHOW SPLITRAIL GTID"), None);
    let text = "EXPLAIN ROUTE /* splitrail: primary */ SELECT 1";
    let Some(Own::ExplainRoute { statement }) = own(text) else {
        panic!("not our own");
    };
    assert_eq!(&text[statement], " /* splitrail: primary */ SELECT 1");
}

#[test]
fn tables_and_shapes_of_whole_statements() {
    let tables = |text: &str, dialect| {
        analyse(text.as_bytes(), dialect)
            .tables
            .map(|tables| tables.len())
    };
    assert_eq!(
        tables("SELECT * FROM a JOIN b USING (id), (SELECT 1 FROM c) x", MYSQL),
        Some(3)
    );
    assert_eq!(tables("SELECT f(1) FROM a", MYSQL), None);
    assert_eq!(tables("SELECT * FROM information_schema.tables", MYSQL), Some(1));
    let mariadb = Dialect {
        flavour: Flavour::MariaDb,
        version: 101_106,
        ..MYSQL
    };
    assert_eq!(tables("SELECT * FROM information_schema.tables", mariadb), None);
    let shape = |text: &str| String::from_utf8(digest_text(text.as_bytes(), MYSQL)).unwrap();
    assert_eq!(
        shape("SELECT  a FROM t WHERE b=1 AND c IN (1, 2,3) /* x */;"),
        "SELECT a FROM t WHERE b = ? AND c IN(?...)"
    );
    assert_eq!(
        shape("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')"),
        "INSERT INTO t VALUES(?...), ..."
    );
    for text in [
        "SELECT 'secret",
        "SELECT \"secret\", \"sec\"\"ret\"",
        "SELECT N'secret', _utf8mb4'secret', _binary 'secret'",
        "SELECT 'a' 'secret'",
        "SELECT 'it''s secret', 'sec\\'ret secret'",
        "SET PASSWORD = 'secret'; SELECT /*! 'secret' */ 1 -- 'secret'",
        "SELECT 'secret' /* secret",
        "SELECT x'5ec2e7', 0x5ec2e7, 1e5",
    ] {
        let shape = shape(text);
        assert!(!shape.contains("ret") && !shape.contains("5ec"), "{shape}");
    }
    let digest = |text: &str| analyse(text.as_bytes(), MYSQL).digest;
    assert_eq!(digest("SELECT 1"), digest("SELECT   'x' -- y"));
    assert_ne!(digest("SELECT a"), digest("SELECT b"));
}
