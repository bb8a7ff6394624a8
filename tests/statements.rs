//! Prepared statements over the binary protocol, packet by packet: what a client prepared stays prepared, wherever
//! its session goes.

use crate::commands::ask;
use crate::fixture::raw::{Raw, Response, Steps, Who, same_both_ways, shown};
use crate::fixture::{Flavour, Proxy, on_both_flavours};
use splitrail::wire::Capabilities;
use splitrail::wire::bytes::Put;
use splitrail::wire::command::Command;
use splitrail::wire::framing::Expect;

const STRING: u16 = 0xfe;
pub const LONGLONG: u16 = 0x08;
const CURSOR: u8 = 1;

pub async fn prepare(raw: &mut Raw, sql: &str) -> (u32, Response) {
    let answer = raw
        .command(Command::STMT_PREPARE, sql.as_bytes(), Expect::Prepared)
        .await;
    let id = match answer[0].first_chunk::<5>() {
        Some([0, a, b, c, d]) => u32::from_le_bytes([*a, *b, *c, *d]),
        _ => 0,
    };
    (id, without_id(answer))
}

/// The ids are the proxy's own.
fn without_id(mut answer: Response) -> Response {
    if answer[0].first() == Some(&0) && answer[0].len() >= 12 {
        answer[0][1..5].fill(0);
    }
    answer
}

/// A parameter as it is sent: its type and its bytes; no bytes are NULL.
pub type Parameter<'a> = (u16, Option<&'a [u8]>);

fn execute_body(id: u32, flags: u8, parameters: &[Parameter<'_>], with_types: bool) -> Vec<u8> {
    let mut body = Vec::new();
    body.put_u32(id);
    body.put_u8(flags);
    body.put_u32(1);
    if parameters.is_empty() {
        return body;
    }
    let mut nulls = vec![0_u8; parameters.len().div_ceil(8)];
    for (index, _) in parameters
        .iter()
        .enumerate()
        .filter(|(_, (_, value))| value.is_none())
    {
        nulls[index / 8] |= 1 << (index % 8);
    }
    body.put_bytes(&nulls);
    body.put_u8(u8::from(with_types));
    if with_types {
        parameters.iter().for_each(|(kind, _)| body.put_u16(*kind));
    }
    for (kind, value) in parameters {
        match (*kind, value) {
            (_, None) => {}
            (LONGLONG, Some(bytes)) => body.put_bytes(bytes),
            (_, Some(bytes)) => body.put_lenenc_bytes(bytes),
        }
    }
    body
}

pub async fn execute(raw: &mut Raw, id: u32, parameters: &[Parameter<'_>], with_types: bool) -> Response {
    let body = execute_body(id, 0, parameters, with_types);
    raw.command(Command::STMT_EXECUTE, &body, Expect::Results).await
}

async fn long_data(raw: &mut Raw, id: u32, parameter: u16, data: &[u8]) {
    let mut body = Vec::new();
    body.put_u32(id);
    body.put_u16(parameter);
    body.put_bytes(data);
    raw.send(Command::STMT_SEND_LONG_DATA, &body).await;
}

fn note(steps: &mut Steps, what: &str, answer: Response) {
    steps.push((what.to_owned(), answer));
}

/// Without numbers of statements in the text of errors.
fn without_numbers(answer: Response) -> Response {
    let packets = answer.into_iter();
    packets
        .map(|packet| match packet.first() {
            Some(0xff) => packet.into_iter().filter(|byte| !byte.is_ascii_digit()).collect(),
            _ => packet,
        })
        .collect()
}

on_both_flavours! {
    async fn a_procedure_with_a_cursor_of_its_own_answers_the_same(flavour) {
        let proxy = Proxy::shared(flavour).await;
        let database = proxy.cluster.new_database().await;
        for flags in [Capabilities::NONE, Capabilities::DEPRECATE_EOF] {
            let who = Who::of(proxy.cluster, Who::usual() | flags).database(&database);
            same_both_ways(proxy, &who, async |raw: &mut Raw| {
                raw.run("DROP PROCEDURE IF EXISTS p").await;
                raw.run(
                    "CREATE PROCEDURE p() BEGIN DECLARE a INT; DECLARE c CURSOR FOR SELECT 1; \
                     OPEN c; FETCH c INTO a; CLOSE c; SELECT a, ''; SELECT a + 1; END",
                )
                .await;
                let mut steps = ask(raw, &["CALL p()", "SELECT 'goes on'"]).await;
                let (call, answer) = prepare(raw, "CALL p()").await;
                note(&mut steps, "prepare", answer);
                note(&mut steps, "execute", execute(raw, call, &[], false).await);
                steps.extend(ask(raw, &["SELECT 'goes on'"]).await);
                steps
            })
            .await;
        }
    }

    async fn statements_answer_the_same(flavour) {
        let proxy = Proxy::shared(flavour).await;
        let database = proxy.cluster.new_database().await;
        for flags in [Capabilities::NONE, Capabilities::DEPRECATE_EOF | Capabilities::SESSION_TRACK] {
            let who = Who::of(proxy.cluster, Who::usual() | flags).database(&database);
            same_both_ways(proxy, &who, async |raw: &mut Raw| {
                let mut steps = Steps::new();
                raw.run("DROP TABLE IF EXISTS t").await;
                raw.run("CREATE TABLE t (id INT PRIMARY KEY, v TEXT)").await;
                let (insert, answer) = prepare(raw, "INSERT INTO t VALUES (?, ?)").await;
                note(&mut steps, "prepare insert", answer);
                let one = 1_u64.to_le_bytes();
                let two = 2_u64.to_le_bytes();
                let three = 3_u64.to_le_bytes();
                let row = [(LONGLONG, Some(&one[..])), (STRING, Some(&b"one"[..]))];
                note(&mut steps, "insert", execute(raw, insert, &row, true).await);
                note(&mut steps, "duplicate", execute(raw, insert, &row, false).await);
                let row = [(LONGLONG, Some(&two[..])), (STRING, None)];
                note(&mut steps, "insert null", execute(raw, insert, &row, false).await);
                long_data(raw, insert, 1, b"long ").await;
                long_data(raw, insert, 1, b"data").await;
                let mut body = execute_body(insert, 0, &[(LONGLONG, Some(&three[..])), (STRING, None)], true);
                body[9] = 0;
                note(&mut steps, "long data", raw.command(Command::STMT_EXECUTE, &body, Expect::Results).await);
                let (select, answer) = prepare(raw, "SELECT * FROM t WHERE id >= ? ORDER BY id").await;
                note(&mut steps, "prepare select", answer);
                note(&mut steps, "select", execute(raw, select, &[(LONGLONG, Some(&one[..]))], true).await);
                note(&mut steps, "select again", execute(raw, select, &[(LONGLONG, Some(&two[..]))], false).await);
                note(&mut steps, "select null", execute(raw, select, &[(LONGLONG, None)], false).await);

                let body = execute_body(select, CURSOR, &[(LONGLONG, Some(&one[..]))], false);
                note(&mut steps, "open cursor", raw.command(Command::STMT_EXECUTE, &body, Expect::Cursor).await);
                let mut fetch = select.to_le_bytes().to_vec();
                fetch.put_u32(2);
                for what in ["fetch", "fetch the rest"] {
                    note(&mut steps, what, raw.command(Command::STMT_FETCH, &fetch, Expect::Rows).await);
                }
                let after = raw.command(Command::STMT_FETCH, &fetch, Expect::Rows).await;
                note(&mut steps, "fetch after the end", without_numbers(after));
                let reset = raw.command(Command::STMT_RESET, &select.to_le_bytes(), Expect::Results).await;
                note(&mut steps, "reset", reset);
                note(&mut steps, "after reset", execute(raw, select, &[(LONGLONG, Some(&one[..]))], true).await);

                raw.run("ALTER TABLE t ADD COLUMN more INT").await;
                note(&mut steps, "after ddl", execute(raw, select, &[(LONGLONG, Some(&one[..]))], false).await);
                raw.run("ALTER TABLE t DROP COLUMN more").await;

                for sql in ["nonsense", "SELECT * FROM no_such_table", "SELECT 1; SELECT 2", "", "SELECT ?, ?, ?"] {
                    let (_, answer) = prepare(raw, sql).await;
                    note(&mut steps, sql, answer);
                }
                note(&mut steps, "unknown", without_numbers(execute(raw, 4711, &[], true).await));
                let reset = raw.command(Command::STMT_RESET, &4711_u32.to_le_bytes(), Expect::Results).await;
                note(&mut steps, "unknown reset", without_numbers(reset));
                let fetch = [4711_u32.to_le_bytes(), 1_u32.to_le_bytes()].concat();
                let fetched = raw.command(Command::STMT_FETCH, &fetch, Expect::Rows).await;
                note(&mut steps, "unknown fetch", without_numbers(fetched));
                raw.send(Command::STMT_CLOSE, &4711_u32.to_le_bytes()).await;
                raw.send(Command::STMT_CLOSE, &insert.to_le_bytes()).await;
                note(&mut steps, "closed", without_numbers(execute(raw, insert, &row, true).await));
                raw.command(Command::RESET_CONNECTION, b"", Expect::Results).await;
                let gone = execute(raw, select, &[(LONGLONG, Some(&one[..]))], true).await;
                note(&mut steps, "after RESET_CONNECTION", without_numbers(gone));
                note(&mut steps, "still there", raw.query("SELECT 1").await);
                steps
            })
            .await;
        }
    }

    async fn procedures_with_out_parameters_answer_the_same(flavour) {
        let proxy = Proxy::shared(flavour).await;
        let database = proxy.cluster.new_database().await;
        let create = "CREATE PROCEDURE p(IN a INT, OUT b INT) BEGIN SELECT a; SELECT 'second' AS s; SET b = a + 1; END";
        proxy.cluster.primary().execute(create.replace("PROCEDURE p", &format!("PROCEDURE {database}.p"))).await.unwrap();
        for flags in [Capabilities::NONE, Capabilities::DEPRECATE_EOF] {
            let who = Who::of(proxy.cluster, Who::usual() | flags).database(&database);
            same_both_ways(proxy, &who, async |raw: &mut Raw| {
                let mut steps = Steps::new();
                let (id, answer) = prepare(raw, "CALL p(?, ?)").await;
                note(&mut steps, "prepare", answer);
                let one = 1_u64.to_le_bytes();
                let row = [(LONGLONG, Some(&one[..])), (LONGLONG, None)];
                note(&mut steps, "call", execute(raw, id, &row, true).await);
                note(&mut steps, "call again", execute(raw, id, &row, false).await);
                assert_eq!(raw.value("SELECT 'of the next'").await, "of the next");
                steps
            })
            .await;
        }
    }

    async fn a_statement_that_moves_keeps_its_types_and_its_long_data(flavour) {
        let cluster = crate::fixture::Cluster::shared(flavour).await;
        let proxy = Proxy::before(cluster).with("pool: {max_connections: 1}").start().await;
        let who = Who::of(cluster, Who::usual()).database("app");
        let mut first = Raw::open(&proxy.address(), &who).await;
        let mut second = Raw::open(&proxy.address(), &Who { database: None, ..who.clone() }).await;
        let (id, _) = prepare(&mut first, "SELECT ?, ?").await;
        let one = 1_u64.to_le_bytes();
        let row = [(LONGLONG, Some(&one[..])), (STRING, Some(&b"text"[..]))];
        let expected = execute(&mut first, id, &row, true).await;
        assert_ne!(expected[0][0], 0xff, "{}", shown(&expected));
        for _ in 0..3 {
            // A session of another kind takes the only connection there may be: it is made anew.
            second.run("SELECT 1").await;
            let got = execute(&mut first, id, &row, false).await;
            assert_eq!(shown(&got), shown(&expected));
        }
        // Long data waits for its execution on its connection, and is not lost to the other client.
        long_data(&mut first, id, 1, b"te").await;
        long_data(&mut first, id, 1, b"xt").await;
        let body = execute_body(id, 0, &[(LONGLONG, Some(&one[..])), (STRING, None)], false);
        let mut body = body;
        body[9] = 0;
        let got = first.command(Command::STMT_EXECUTE, &body, Expect::Results).await;
        assert_eq!(shown(&got), shown(&expected));
        second.run("SELECT 1").await;
    }

    /// With query attributes and without: what a server refuses, what it remembers of types, and what it does not.
    async fn types_are_remembered_as_servers_do(flavour) {
        let proxy = Proxy::shared(flavour).await;
        let plain = Who::usual();
        let kinds: &[Capabilities] = match flavour {
            Flavour::MySql => &[plain, plain | Capabilities::QUERY_ATTRIBUTES],
            Flavour::MariaDb => &[plain],
        };
        for capabilities in kinds {
            let named = capabilities.has(Capabilities::QUERY_ATTRIBUTES);
            let who = Who::of(proxy.cluster, *capabilities);
            same_both_ways(proxy, &who, async |raw: &mut Raw| executions(raw, named).await).await;
        }
    }

    /// MySQL settles a parameter's type by its first value. Here two sessions share one statement of a connection.
    async fn values_of_one_session_mean_nothing_to_another(flavour) {
        let cluster = crate::fixture::Cluster::shared(flavour).await;
        let database = cluster.new_database().await;
        let primary = cluster.primary();
        primary.execute(format!("CREATE TABLE {database}.t (v VARCHAR(10))")).await.unwrap();
        primary.execute(format!("INSERT INTO {database}.t VALUES ('one'), ('two')")).await.unwrap();
        let settings = "pool: {max_connections: 1}";
        let proxy = Proxy::before(cluster).with(settings).main_listener("mode: primary").start().await;
        let who = Who::of(cluster, Who::usual()).database(&database);
        let sql = "SELECT v, ? FROM t WHERE v = ?";
        let number = 0_u64.to_le_bytes();
        let numbers = [(LONGLONG, Some(&number[..])), (LONGLONG, Some(&number[..]))];
        let texts = [(STRING, Some(&b"two"[..])), (STRING, Some(&b"two"[..]))];
        let mut direct = Raw::open(&primary.address(), &who).await;
        let (id, _) = prepare(&mut direct, sql).await;
        let expected = execute(&mut direct, id, &texts, true).await;
        let mut first = Raw::open(&proxy.address(), &who).await;
        let mut second = Raw::open(&proxy.address(), &who).await;
        let (one, _) = prepare(&mut first, sql).await;
        let (other, _) = prepare(&mut second, sql).await;
        execute(&mut second, other, &numbers, true).await;
        assert_eq!(shown(&execute(&mut first, one, &texts, true).await), shown(&expected));
        execute(&mut second, other, &numbers, false).await;
        assert_eq!(shown(&execute(&mut first, one, &texts, false).await), shown(&expected));
    }

    async fn ten_thousand_statements_do_not_exhaust_the_server(flavour) {
        let cluster = crate::fixture::Cluster::shared(flavour).await;
        let proxy = Proxy::before(cluster).with("pool: {max_connections: 1, max_prepared_per_connection: 100}").start().await;
        let mut raw = Raw::open(&proxy.address(), &Who::of(cluster, Who::usual())).await;
        let mut first = 0;
        for number in 0..10_000 {
            let (id, answer) = prepare(&mut raw, &format!("SELECT {number}")).await;
            assert_ne!(id, 0, "{}", shown(&answer));
            if number == 0 {
                first = id;
            } else {
                raw.send(Command::STMT_CLOSE, &id.to_le_bytes()).await;
            }
        }
        let counted = raw.run("SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'").await;
        let row = &counted[4];
        let count: u32 = String::from_utf8_lossy(&row[row.len() - 3..]).trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
        // Other tests prepare statements, too.
        assert!(count < 500, "{}", shown(&counted));
        // The first has long been closed on the server.
        let answer = execute(&mut raw, first, &[], true).await;
        assert_ne!(answer[0][0], 0xff, "{}", shown(&answer));
    }
}

/// The body of an execution whose count, if there is to be one, is not its number of parameters; and what follows.
fn odd_body(id: u32, flags: u8, count: Option<u8>, rest: &[u8]) -> Vec<u8> {
    let mut body = execute_body(id, flags, &[], false);
    body.extend(count);
    body.put_bytes(rest);
    body
}

async fn executions(raw: &mut Raw, named: bool) -> Steps {
    let mut steps = Steps::new();
    let (id, _) = prepare(raw, "SELECT ? + 1, ?").await;
    let count = |count: u8| named.then_some(count);
    let name: &[u8] = if named { b"\0" } else { b"" };
    let integers = [&b"\x01\x08\0"[..], name, b"\x08\0", name].concat();
    let values = [1_u64, 2].map(u64::to_le_bytes).concat();
    let mut ask = async |what: &str, id: u32, flags: u8, count: Option<u8>, parts: &[&[u8]]| {
        let body = odd_body(id, flags, count, &parts.concat());
        let answer = raw.command(Command::STMT_EXECUTE, &body, Expect::Results).await;
        steps.push((what.to_owned(), answer));
    };
    ask(
        "nobody has named types",
        id,
        0,
        count(2),
        &[b"\0", b"\0", &values],
    )
    .await;
    ask("nor has it to be for NULL", id, 0, count(2), &[b"\x03", b"\0"]).await;
    ask("types", id, 0, count(2), &[b"\0", &integers, &values]).await;
    ask("remembered types", id, 0, count(2), &[b"\0", b"\0", &values]).await;
    if !named {
        return steps;
    }
    ask(
        "fewer values",
        id,
        8,
        Some(1),
        &[b"\0", b"\x01\xfe\0\0", b"\x01x"],
    )
    .await;
    ask("types as before", id, 8, Some(2), &[b"\0", b"\0", &values]).await;
    let attribute = [&integers[..], b"\xfe\0\x01a"].concat();
    ask(
        "an attribute",
        id,
        8,
        Some(3),
        &[b"\0", &attribute, &values, b"\x03att"],
    )
    .await;
    ask(
        "its type is not remembered",
        id,
        8,
        Some(3),
        &[b"\0", b"\0", &values, b"\x03att"],
    )
    .await;
    ask(
        "nor need it be for NULL",
        id,
        8,
        Some(3),
        &[b"\x04", b"\0", &values],
    )
    .await;
    ask("parameters alone", id, 0, Some(2), &[b"\0", b"\0", &values]).await;
    ask(
        "cut off",
        id,
        0,
        Some(2),
        &[b"\0", b"\x01\xfe\0\0\xfe\0\0", b"\x01x\x05y"],
    )
    .await;
    ask("types from before that", id, 0, Some(2), &[b"\0", b"\0", &values]).await;
    let (id, _) = prepare(raw, "SELECT 1").await;
    let mut ask = async |what: &str, flags: u8, rest: &[u8]| {
        let body = odd_body(id, flags, None, rest);
        let answer = raw.command(Command::STMT_EXECUTE, &body, Expect::Results).await;
        steps.push((what.to_owned(), answer));
    };
    ask("an attribute alone", 8, b"\x01\0\x01\xfe\0\x01a\x03att").await;
    ask("without a type", 8, b"\x01\0\0\x03att").await;
    ask("NULL without a type", 8, b"\x01\x01\0").await;
    ask("none", 8, b"\0").await;
    ask("not looked at", 0, b"\x01\0\0\x03att").await;
    steps
}

#[tokio::test]
async fn types_of_bulk_executions_follow_their_statement() {
    let cluster = crate::fixture::Cluster::shared(Flavour::MariaDb).await;
    let database = cluster.new_database().await;
    let proxy = Proxy::before(cluster)
        .with("pool: {max_connections: 1}")
        .start()
        .await;
    let capabilities = Who::usual().without(Capabilities::LONG_PASSWORD) | Capabilities::MARIADB_BULK;
    let who = Who::of(cluster, capabilities).database(&database);
    let mut first = Raw::open(&proxy.address(), &who).await;
    let mut second = Raw::open(
        &proxy.address(),
        &Who {
            database: None,
            ..who.clone()
        },
    )
    .await;
    first.run("CREATE TABLE t (id INT)").await;
    let (id, _) = prepare(&mut first, "INSERT INTO t VALUES (?)").await;
    for number in 1..=3_u64 {
        let mut body = id.to_le_bytes().to_vec();
        let with_types = number == 1;
        body.put_u16(if with_types { 128 } else { 0 });
        if with_types {
            body.put_u16(LONGLONG);
        }
        body.put_u8(0);
        body.put_u64(number);
        let answer = first
            .command(Command::STMT_BULK_EXECUTE, &body, Expect::Results)
            .await;
        assert_ne!(answer[0][0], 0xff, "{}", shown(&answer));
        // A session of another kind takes the only connection.
        second.run("SELECT 1").await;
    }
    assert_eq!(first.value("SELECT SUM(id) FROM t").await, "6");
}

#[tokio::test]
async fn mariadb_executes_in_bulk_and_what_was_just_prepared() {
    let proxy = Proxy::shared(Flavour::MariaDb).await;
    let database = proxy.cluster.new_database().await;
    let capabilities = Who::usual().without(Capabilities::LONG_PASSWORD) | Capabilities::MARIADB_BULK;
    let who = Who::of(proxy.cluster, capabilities).database(&database);
    same_both_ways(proxy, &who, async |raw: &mut Raw| {
        let mut steps = Steps::new();
        raw.run("CREATE OR REPLACE TABLE t (id INT, v TEXT)").await;
        let (id, _) = prepare(raw, "INSERT INTO t VALUES (?, ?)").await;
        let mut body = id.to_le_bytes().to_vec();
        // Types follow.
        body.put_u16(128);
        body.put_u16(LONGLONG);
        body.put_u16(STRING);
        for number in 0..3_u64 {
            body.put_u8(0);
            body.put_u64(number);
            // The second one is NULL.
            body.put_u8(u8::from(number == 1));
            if number != 1 {
                body.put_lenenc_bytes(b"bulk");
            }
        }
        note(
            &mut steps,
            "bulk",
            raw.command(Command::STMT_BULK_EXECUTE, &body, Expect::Results)
                .await,
        );
        note(&mut steps, "rows", raw.query("SELECT * FROM t ORDER BY id").await);
        // Both at once, as clients do that save a round trip.
        raw.send(Command::STMT_PREPARE, b"SELECT id, v FROM t WHERE id >= ?")
            .await;
        let one = 1_u64.to_le_bytes();
        let body = execute_body(u32::MAX, 0, &[(LONGLONG, Some(&one[..]))], true);
        raw.send(Command::STMT_EXECUTE, &body).await;
        note(
            &mut steps,
            "prepare",
            without_id(raw.response(Expect::Prepared).await),
        );
        note(&mut steps, "execute", raw.response(Expect::Results).await);
        raw.send(Command::STMT_PREPARE, b"nonsense").await;
        raw.send(Command::STMT_EXECUTE, &body).await;
        note(
            &mut steps,
            "prepare nonsense",
            raw.response(Expect::Prepared).await,
        );
        note(
            &mut steps,
            "execute nonsense",
            without_numbers(raw.response(Expect::Results).await),
        );
        steps
    })
    .await;
}
