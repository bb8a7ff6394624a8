//! Calls in a statement that are worth rewriting.

use super::*;

#[test]
fn calls_worth_rewriting() {
    for (text, expected) in [
        ("SELECT CONNECTION_ID()", "CONNECTION_ID()*"),
        ("select connection_id ( ) from t", "connection_id ( )*"),
        ("SELECT `connection_id`()", "`connection_id`()*"),
        ("SELECT CONNECTION_ID() AS a", "CONNECTION_ID()"),
        ("SELECT CONNECTION_ID() a", "CONNECTION_ID()"),
        ("SELECT CONNECTION_ID() + 1", "CONNECTION_ID()"),
        ("SELECT 1 + CONNECTION_ID()", "CONNECTION_ID()"),
        (
            "SELECT a, LAST_INSERT_ID(), ROW_COUNT() x, FOUND_ROWS();",
            "LAST_INSERT_ID()* ROW_COUNT() FOUND_ROWS()*",
        ),
        ("SELECT DISTINCT LAST_INSERT_ID() FROM t", "LAST_INSERT_ID()*"),
        ("SELECT (LAST_INSERT_ID())", "LAST_INSERT_ID()"),
        ("SELECT (SELECT LAST_INSERT_ID())", "LAST_INSERT_ID()*"),
        ("SELECT f(1, LAST_INSERT_ID())", "LAST_INSERT_ID()"),
        ("SELECT a FROM t WHERE id = LAST_INSERT_ID()", "LAST_INSERT_ID()"),
        ("SELECT a FROM t ORDER BY b, LAST_INSERT_ID()", "LAST_INSERT_ID()"),
        ("SELECT a ORDER BY b, LAST_INSERT_ID()", "LAST_INSERT_ID()"),
        (
            "SELECT a UNION SELECT LAST_INSERT_ID() LIMIT 1",
            "LAST_INSERT_ID()*",
        ),
        ("INSERT INTO t VALUES (LAST_INSERT_ID(), 1)", "LAST_INSERT_ID()"),
        ("INSERT INTO t SELECT LAST_INSERT_ID()", "LAST_INSERT_ID()*"),
        ("SELECT LAST_INSERT_ID(5)", ""),
        ("SELECT d.LAST_INSERT_ID()", ""),
        ("SELECT 'LAST_INSERT_ID()'", ""),
        ("SET @a = LAST_INSERT_ID()", "LAST_INSERT_ID()"),
        ("CREATE VIEW v AS SELECT CONNECTION_ID()", ""),
        ("CREATE PROCEDURE p() SELECT CONNECTION_ID()", ""),
        ("SELECT CONNECTION_ID(), 'x", ""),
    ] {
        let features = mysql(text);
        let spans: Vec<_> = features
            .spans()
            .iter()
            .map(|span| format!("{}{}", &text[span.range()], if span.bare { "*" } else { "" }))
            .collect();
        assert_eq!(spans.join(" "), expected, "{text}");
    }
    let many = mysql("SELECT ROW_COUNT(), ROW_COUNT(), ROW_COUNT(), ROW_COUNT(), ROW_COUNT()");
    assert_eq!(many.spans().len(), 4);
    assert!(many.has(Flags::SPANS_OVERFLOW));
}
