"""The command line programs: client, admin, show, check, import, slap and binlog of both families.

A script of our own: each case is a command, whose output and exit code must be the same through
the proxy once numbers that differ anyway are blotted out.
"""

import re

from harness import commands, observe, place, shell

NAME = "command-line"
FLAVOURS = ["mysql", "mariadb"]
ORDER = 2
USER = "cmdline"
DATABASE = "cmdline"
LIMIT = 60

TABLES = """
CREATE TABLE people (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(40), born DATE, photo BLOB) CHARACTER SET utf8mb4;
INSERT INTO people (name, born, photo) VALUES ('Ada', '1815-12-10', X'00FF10'), ('Grace \\' Hopper', NULL, NULL), ('Zoë 🦀', '1990-02-28', '');
CREATE VIEW names AS SELECT name FROM people;
DELIMITER //
CREATE PROCEDURE twice() BEGIN SELECT COUNT(*) FROM people; SELECT 'second' AS result; END//
CREATE FUNCTION plus_one(x INT) RETURNS INT DETERMINISTIC RETURN x + 1//
DELIMITER ;
"""
SCRIPT = """
USE cmdline;
SELECT * FROM people;
CALL twice();
SELECT plus_one(41);
SET @x = 5; SELECT @x;
SELECT name INTO @n FROM people WHERE id = 1; SELECT @n;
CREATE TEMPORARY TABLE mine AS SELECT * FROM people; SELECT COUNT(*) FROM mine;
BEGIN; DELETE FROM people; ROLLBACK; SELECT COUNT(*) FROM people;
SHOW WARNINGS;
PREPARE p FROM 'SELECT ? + 1'; SET @a = 1; EXECUTE p USING @a; DEALLOCATE PREPARE p;
SELECT DATABASE(), LAST_INSERT_ID(), ROW_COUNT();
SELECT 1\\G
DO SLEEP(0.01);
SHOW CREATE TABLE people\\G
"""
BAD = "SELECT 1; SELEC 2; SELECT * FROM nowhere; SELECT 3;"
MANY = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900) SELECT a.i, b.i, REPEAT('x', 20) FROM n a JOIN n b LIMIT 300000"

# name: (program, options, standard input)
CLIENT = {
    "one statement": (["-e", "SELECT 1 AS one, 'ü' AS two"], ""),
    "script": ([], SCRIPT),
    "script as a table": (["--table"], SCRIPT),
    "script verbose": (["-vvv"], SCRIPT),
    "vertical": (["--vertical"], "SELECT * FROM people;"),
    "html": (["--html"], "SELECT * FROM people;"),
    "xml": (["--xml"], "SELECT * FROM people;"),
    "raw without names": (["--raw", "--skip-column-names"], "SELECT name FROM people;"),
    "hex": (["--binary-as-hex"], "SELECT * FROM people;"),
    "columns' types": (["--column-type-info", "--table"], "SELECT * FROM people;"),
    "errors stop": ([], BAD),
    "errors forced": (["--force"], BAD),
    "warnings": (["--show-warnings"], "SELECT CAST('1x' AS SIGNED); SELECT 1/0;"),
    "many rows": (["--quick"], MANY),
    "many rows buffered": ([], MANY),
    "latin1": (["--default-character-set=latin1"], "SELECT name, HEX(name) FROM people WHERE id = 1; SELECT @@character_set_client;"),
    "first a command": (["--init-command=SET @from_init = 7"], "SELECT @from_init;"),
    "safe updates": (["--safe-updates"], "UPDATE people SET name = 'x'; SELECT 1;"),
    "compressed": (["--compress"], SCRIPT),
    "TLS": (None, "SHOW STATUS LIKE 'Ssl_version';"),
    "no TLS": (None, "SHOW STATUS LIKE 'Ssl_version';"),
    "status": (["--table"], "\\s"),
    "use and reconnect": ([], "\\u mysql\nSELECT DATABASE();\n\\r cmdline\nSELECT DATABASE();\n"),
    "reset connection": ([], "SET @a = 1;\n\\x\nSELECT @a;\n"),
    "completion": (["--auto-rehash"], "SELECT 1;"),
    "nothing": ([], ""),
    "a statement without its end": ([], "SELECT 5"),
    "load data": (["--local-infile=1"], None),
    "wrong password": (["--password=wrong", "-e", "SELECT 1"], ""),
    "unknown database": (["--database=nowhere", "-e", "SELECT 1"], ""),
    "statement of 20 MB": (["--max-allowed-packet=64M"], "SELECT LENGTH('" + "x" * 20_000_000 + "');"),
}
OTHERS = {
    "admin ping": ("admin", ["ping"]),
    "admin status": ("admin", ["status"]),
    "admin version": ("admin", ["version"]),
    "admin processlist": ("admin", ["processlist", "--verbose"]),
    "admin variables": ("admin", ["variables"]),
    "admin extended-status": ("admin", ["extended-status"]),
    "admin flush": ("admin", ["flush-tables", "flush-logs", "refresh"]),
    "admin create and drop": ("admin", ["create", "cmdline_made", "--force", "drop", "cmdline_made"]),
    "admin wrong password": ("admin", ["--password=wrong", "ping"]),
    "show databases": ("show", []),
    "show tables": ("show", ["--count", DATABASE]),
    "show columns": ("show", ["--status", DATABASE, "people"]),
    "check": ("check", [DATABASE]),
    "analyze": ("check", ["--analyze", DATABASE]),
    "slap": ("slap", ["--auto-generate-sql", "--concurrency=8", "--iterations=2", "--number-of-queries=400"]),
    "slap that detaches": ("slap", ["--query=SELECT 1", "--detach=2", "--concurrency=4", "--number-of-queries=200"]),
}
BLOTS = [
    (rb"(?i)(warning|note)[^\n]*password[^\n]*\n", b""),
    (rb"\b\d+\.\d+ sec\b|\(\d+ min [^)]*\)", b"TIME"),
    (rb"(Connection id:|TCP port:?|Uptime:|Threads:|Questions:|Slow queries:|Opens:|Open tables:|Flush tables:|Queries per second)[^\n]*", rb"\1"),
    (rb"\d\d:\d\d:\d\d", b"TIME"),
    (rb"'@'[^']*'", b"'@'HOST'"),
    (rb"port \d+|:\d{4,5}\b", b"PORT"),
    # Which of its ciphers a TLS library prefers is its own affair.
    (rb"Cipher in use is [^\n]*", b"Cipher in use"),
    (rb"Current database:[^\n]*|Connection id:[^\n]*|Trying to reconnect[^\n]*", b""),
]
# Of these only the first column (the names of what is told) is the same twice.
NAMES_ONLY = {"admin variables", "admin extended-status"}
EXIT_ONLY = {"admin status", "admin processlist", "slap", "slap that detaches", "show columns"}


def prepare():
    commands.prepare()


def setup(run):
    run.admin.grant_all(USER)
    run.admin.database(DATABASE)
    load(run, run.admin.endpoint, TABLES)


def load(run, end, script):
    """Fills the database, directly."""
    client = commands.Programs("mariadb").command("client")
    tail = ["--default-character-set=utf8mb4", *commands.login(end, USER, run.admin.password, DATABASE)]
    shell.must([*client, *tail], run.log, LIMIT, stdin=source(run, script))


def source(run, text):
    """A file to read from as standard input."""
    path = run.folder / "input.sql"
    path.write_text(text)
    return open(path, "rb")


def blot(output):
    for pattern, by in BLOTS:
        output = re.sub(pattern, by, output)
    return output


def tls(family, wanted):
    if family == "mysql":
        return [f"--ssl-mode={'REQUIRED' if wanted else 'DISABLED'}"] + ([] if wanted else ["--get-server-public-key"])
    return ["--ssl"] if wanted else ["--skip-ssl"]


def client_case(run, family, name):
    """The options and the input of one case of the client itself."""
    options, text = CLIENT[name]
    if options is None:
        options = tls(family, name == "TLS")
    if text is None:
        data = run.folder / "people.csv"
        data.write_text("100,From a file\n101,Another\n")
        text = f"LOAD DATA LOCAL INFILE '{data}' INTO TABLE people FIELDS TERMINATED BY ',' (id, name); SELECT ROW_COUNT();"
        text += "SELECT id, name FROM people WHERE id >= 100; DELETE FROM people WHERE id >= 100;"
    return options, text


def execute(run, family, program, options, text="", database=None):
    """Runs one program against the endpoint; gives its exit code and all it said."""
    command = commands.Programs(family).command(program)
    # What the case asks for comes last, where it wins.
    full = [*command, *commands.login(run.endpoint, USER, run.admin.password, database), *options]
    return shell.capture(full, run.log, LIMIT, merge=True, stdin=source(run, text))


def see(run, observation, test, name, code, output):
    """Notes what one command said, as far as it is the same twice."""
    if code is None:
        raise AssertionError(f"not done after {LIMIT} s: {output[-300:]!r}")
    observation.note(test, "exit code", code)
    if name in EXIT_ONLY:
        return
    text = blot(output).decode(errors="backslashreplace")
    if name in NAMES_ONLY:
        text = "\n".join(line.split("|")[1].strip() for line in text.splitlines() if line.startswith("|"))
    observation.note(test, "output", text if len(text) < 20_000 else hash_of(text))


def hash_of(text):
    import hashlib

    return f"{len(text)} characters, {hashlib.sha256(text.encode()).hexdigest()}"


def run(run):
    watch = run.watch(total=1200)
    observation = observe.Observation(run)
    for family in commands.families(run.flavour):
        for name in CLIENT:
            observation.test(watch, f"{family}: {name}", lambda test: client(run, observation, family, name, test))
        for name in OTHERS:
            observation.test(watch, f"{family}: {name}", lambda test: other(run, observation, family, name, test))
        for name, case in {"import": import_file, "binlog": binlog}.items():
            observation.test(watch, f"{family}: {name}", lambda test: case(run, observation, family, test))
    watch.finished = True
    return watch


def client(run, observation, family, name, test):
    options, text = client_case(run, family, name)
    code, output = execute(run, family, "client", options, text, DATABASE if "--database=nowhere" not in options else None)
    see(run, observation, test, name, code, output)
    if name in ("TLS", "no TLS"):
        assert (b"TLSv1" in output) == (name == "TLS"), output


def other(run, observation, family, name, test):
    program, options = OTHERS[name]
    see(run, observation, test, name, *execute(run, family, program, options))


def import_file(run, observation, family, test):
    """mysqlimport names the table by the file."""
    data = run.folder / "people.txt"
    data.write_text("200\tImported\n201\tToo\n")
    options = ["--local", "--columns=id,name", DATABASE, str(data)]
    see(run, observation, test, test, *execute(run, family, "import", options))
    _, output = execute(run, family, "client", ["-e", "SELECT id, name FROM people WHERE id >= 200"], database=DATABASE)
    observation.note(test, "rows", blot(output).decode())
    run.admin.run(f"DELETE FROM {DATABASE}.people WHERE id >= 200")


def binlog(run, observation, family, test):
    """A binary log read from afar has the same events; the file written is the server's own."""
    if family != run.flavour:
        raise observe.Skip("reads only its own family's log")
    if run.admin.column("SELECT @@log_bin") != [1]:
        raise observe.Skip("the server writes no binary log")
    run.admin.run(f"INSERT INTO {DATABASE}.people (id, name) VALUES (300, 'Logged')", "FLUSH LOGS")
    run.admin.run(f"DELETE FROM {DATABASE}.people WHERE id = 300")
    files = [row[0] for row in run.admin.rows("SHOW BINARY LOGS")]
    for options in ([], ["--raw", f"--result-file={run.folder}/raw-"]):
        code, output = execute(run, family, "binlog", ["--read-from-remote-server", *options, files[-2]])
        observation.note(test, f"exit code {options[:1]}", code)
        assert code == 0, output[-500:]
        assert options or b"end_log_pos" in output, output[-500:]
    place_of_it = run.folder / f"raw-{files[-2]}"
    assert place_of_it.stat().st_size > 100
