//! What a statement does, by its first words.

use super::*;

#[test]
fn verbs() {
    for (text, verb) in [
        ("", Verb::Empty),
        ("/* c */ ; ;", Verb::Empty),
        ("/*! */", Verb::Empty),
        ("select 1", Verb::Select),
        ("((SELECT 1)) UNION (SELECT 2)", Verb::Select),
        ("/*!40000 SELECT */ 1", Verb::Select),
        ("/* a */ -- b\n # c\n SELECT 1", Verb::Select),
        ("INSERT INTO t SELECT 1", Verb::Insert),
        ("replace t values (1)", Verb::Replace),
        ("UPDATE t SET a = 1", Verb::Update),
        ("DELETE FROM t", Verb::Delete),
        ("SET @a = (SELECT 1)", Verb::Set),
        ("USE d", Verb::Use),
        ("BEGIN", Verb::Begin),
        ("BEGIN WORK", Verb::Begin),
        ("START TRANSACTION READ ONLY", Verb::StartTransaction),
        ("START REPLICA", Verb::Start),
        ("COMMIT WORK", Verb::Commit),
        ("ROLLBACK", Verb::Rollback),
        ("ROLLBACK WORK TO SAVEPOINT a", Verb::RollbackToSavepoint),
        ("ROLLBACK TO a", Verb::RollbackToSavepoint),
        ("SAVEPOINT a", Verb::Savepoint),
        ("RELEASE SAVEPOINT a", Verb::ReleaseSavepoint),
        ("CALL p", Verb::Call),
        ("KILL 1", Verb::Kill),
        ("SHOW TABLES", Verb::Show),
        ("PREPARE s FROM 'x'", Verb::Prepare),
        ("EXECUTE s", Verb::Execute),
        ("EXECUTE IMMEDIATE 'x'", Verb::ExecuteImmediate),
        ("DEALLOCATE PREPARE s", Verb::Deallocate),
        ("DROP PREPARE s", Verb::Deallocate),
        ("LOCK TABLES t READ", Verb::Lock),
        ("UNLOCK TABLES", Verb::Unlock),
        ("HANDLER t OPEN", Verb::Handler),
        ("XA START 'a'", Verb::Xa),
        ("CREATE TABLE t SELECT 1", Verb::Create),
        ("ALTER TABLE t ADD a INT", Verb::Alter),
        ("DROP TABLE t", Verb::Drop),
        ("TRUNCATE t", Verb::Truncate),
        ("LOAD DATA INFILE 'a' INTO TABLE t", Verb::Load),
        ("DO 1", Verb::Do),
        ("EXPLAIN DELETE FROM t", Verb::Explain),
        ("DESC t", Verb::Explain),
        ("WITH c AS (SELECT 1) SELECT * FROM c", Verb::Select),
        ("WITH c AS (SELECT 1) DELETE FROM t", Verb::Delete),
        (
            "WITH RECURSIVE c (n) AS (SELECT 1 UNION SELECT n FROM c), d AS (SELECT 2) UPDATE t SET a = 1",
            Verb::Update,
        ),
        ("WITH c AS (SELECT 1)", Verb::With),
        ("SET STATEMENT a = 1, b = 2 FOR UPDATE t SET a = 1", Verb::Update),
        ("TABLE t", Verb::Table),
        ("VALUES ROW(1)", Verb::Values),
        ("BEGIN NOT ATOMIC SELECT 1; END", Verb::Compound),
        ("IF 1 THEN SELECT 1; END IF", Verb::Compound),
        ("FROB", Verb::Other),
        ("1", Verb::Other),
        ("`select` 1", Verb::Other),
        ("selec", Verb::Other),
    ] {
        assert_eq!(mysql(text).verb, verb, "{text}");
        assert_eq!(mariadb(text).verb, verb, "{text}");
    }
    let several = mysql("BEGIN; INSERT INTO t VALUES (1); COMMIT");
    assert_eq!(several.verb, Verb::Begin);
    assert!(several.verbs.contains(Verb::Insert) && several.verbs.contains(Verb::Commit));
    assert!(
        several
            .verbs
            .is_subset_of(&[Verb::Begin, Verb::Insert, Verb::Commit])
    );
    assert!(!several.verbs.is_subset_of(&[Verb::Begin, Verb::Commit]));
}

#[test]
fn mariadb_marks_run_only_there() {
    let text = "/*M!100100 DELETE FROM t */";
    assert_eq!(mariadb(text).verb, Verb::Delete);
    assert_eq!(mysql(text).verb, Verb::Empty);
}
