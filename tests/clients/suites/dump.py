"""mysqldump through the proxy and back: dump, restore, compare checksums, and dump again."""

import re
import subprocess

from harness import commands, observe, shell
from suites import command_line

NAME = "dump"
FLAVOURS = ["mysql", "mariadb"]
ORDER = 3
USER = "dumper"
DATABASE = "dumped"
BACK = "dumped_back"
LIMIT = 180
ROWS = 20_000

SCHEMA = """
CREATE TABLE wide (id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, t TINYINT, d DECIMAL(30,10), f DOUBLE, c CHAR(5), v VARCHAR(200) CHARACTER SET latin1,
  u TEXT CHARACTER SET utf8mb4, b VARBINARY(300), l LONGBLOB, e ENUM('a','ß'), s SET('x','y'), y YEAR, da DATE, ti TIME(3), dt DATETIME(6), ts TIMESTAMP NULL, bt BIT(9), KEY by_t (t));
CREATE TABLE derived (a INT, g INT GENERATED ALWAYS AS (a + 1) VIRTUAL, KEY by_g (g));
CREATE TABLE bulk (id INT PRIMARY KEY, body VARCHAR(500));
CREATE TABLE parent (id INT PRIMARY KEY) ENGINE=InnoDB;
CREATE TABLE child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id)) ENGINE=InnoDB;
INSERT INTO wide (t, d, f, c, v, u, b, l, e, s, y, da, ti, dt, ts, bt) VALUES
  (-128, 12345678901234567890.0123456789, 1e-300, 'ab', 'café', 'snow ☃ crab 🦀 \\' \\" \\\\ \\n \\0', X'00FF0D0A1A27225C', REPEAT(X'00FE', 2000000), 'ß', 'x,y', 1999, '2026-02-28', '-12:34:56.789', '9999-12-31 23:59:59.999999', '2020-01-01 00:00:01', b'101010101'),
  (127, NULL, -0.0, '', NULL, '', '', '', NULL, '', NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO derived (a) VALUES (1), (NULL);
INSERT INTO parent VALUES (1), (2);
INSERT INTO child VALUES (1, 1), (2, NULL);
CREATE VIEW seen AS SELECT id, u FROM wide WHERE t < 0;
CREATE TRIGGER on_parent BEFORE INSERT ON parent FOR EACH ROW SET NEW.id = NEW.id + 0;
CREATE PROCEDURE nothing() COMMENT 'does nothing' SELECT 1;
CREATE FUNCTION doubled(x INT) RETURNS INT DETERMINISTIC RETURN x * 2;
CREATE EVENT never ON SCHEDULE EVERY 1 YEAR STARTS '2037-01-01 00:00:00' DISABLE DO SELECT 1;
"""
KINDS = {
    "plain": [],
    "one transaction": ["--single-transaction", "--quick"],
    "everything": ["--single-transaction", "--routines", "--triggers", "--events", "--hex-blob"],
    "row by row": ["--skip-extended-insert", "--complete-insert", "--skip-lock-tables"],
    "locked": ["--lock-all-tables", "--flush-logs"],
    "big statements": ["--net-buffer-length=16M", "--max-allowed-packet=64M"],
    "compressed": ["--compress"],
}
TABLES = ["wide", "bulk", "parent", "child"]


def prepare():
    commands.prepare()


def setup(run):
    run.admin.grant_all(USER)
    run.admin.database(DATABASE)
    client = commands.Programs("mariadb").command("client")
    rows = ",".join(f"({number},REPEAT('row {number} ',20))" for number in range(ROWS))
    script = f"{SCHEMA}\nINSERT INTO bulk VALUES {rows};\n"
    login = commands.login(run.admin.endpoint, USER, run.admin.password, DATABASE)
    stdin = command_line.source(run, script)
    shell.must([*client, "--default-character-set=utf8mb4", *login], run.log, LIMIT, stdin=stdin)


def run(run):
    watch = run.watch(total=1800)
    observation = observe.Observation(run)
    for family in commands.families(run.flavour):
        for kind in KINDS:
            observation.test(watch, f"{family}: {kind}", lambda test: there_and_back(run, family, kind))
        observation.test(watch, f"{family}: one database after another by pipe", lambda test: by_pipe(run, family))
        observation.test(watch, f"{family}: as XML", lambda test: as_xml(run, observation, family, test))
        observation.test(watch, f"{family}: with the position", lambda test: with_position(run, family))
    watch.finished = True
    return watch


def common(run, family):
    login = commands.login(run.endpoint, USER, run.admin.password)
    return [*login, "--default-character-set=utf8mb4"], commands.Programs(family)


def options_of(run, family):
    """What a family's dump needs to know of the server that is not its own."""
    if family == "mysql":
        return ["--set-gtid-purged=OFF", "--column-statistics=0"]
    # MariaDB's would write values for the columns that MySQL derives.
    return [f"--ignore-table={DATABASE}.derived"] if run.flavour == "mysql" else []


def dump(run, family, options, path, database=DATABASE):
    """Dumps a database to a file through the endpoint."""
    login, programs = common(run, family)
    extra = options_of(run, family)
    with open(path, "wb") as output:
        command = [*programs.command("dump"), *login, *extra, *options, database]
        code = shell.run(command, run.log, LIMIT, stdout=output)
    assert code == 0, f"the dump ended with {code}"


def restore(run, family, path, database=BACK):
    """Restores a file into a fresh database through the endpoint."""
    run.admin.database(database)
    login, programs = common(run, family)
    with open(path, "rb") as text:
        code = shell.run([*programs.command("client"), *login, database], run.log, LIMIT, stdin=text)
    assert code == 0, f"the restore ended with {code}"


def checksums(run, database):
    """What the server itself says of each table, asked directly."""
    sums = {}
    for table in TABLES:
        [(_, value)] = run.admin.rows(f"CHECKSUM TABLE `{database}`.`{table}`")
        sums[table] = value
    assert None not in sums.values(), sums
    return sums


def there_and_back(run, family, kind):
    first, second = run.folder / "first.sql", run.folder / "second.sql"
    dump(run, family, KINDS[kind], first)
    restore(run, family, first)
    before, after = checksums(run, DATABASE), checksums(run, BACK)
    assert before == after, f"{before} became {after}"
    dump(run, family, KINDS[kind], second, BACK)
    texts = [strip(path.read_bytes()) for path in (first, second)]
    assert texts[0] == texts[1], "the second dump differs from the first"


def strip(text):
    """A dump without its comments, which name the database and the time."""
    text = re.sub(rb"(?m)^--.*\n", b"", text)
    return text.replace(BACK.encode(), DATABASE.encode())


def by_pipe(run, family):
    """Reading and writing at once, each through the endpoint."""
    run.admin.database(BACK)
    login, programs = common(run, family)
    extra = options_of(run, family)
    with open(run.log, "ab") as log:
        source = shell.start([*programs.command("dump"), *login, *extra, DATABASE], log, stdout=subprocess.PIPE)
        try:
            sink = shell.run([*programs.command("client"), *login, BACK], run.log, LIMIT, stdin=source.stdout)
            source.stdout.close()
            assert (source.wait(LIMIT), sink) == (0, 0), "one end failed"
        finally:
            shell.end(source)
    assert checksums(run, DATABASE) == checksums(run, BACK)


def as_xml(run, observation, family, test):
    path = run.folder / "dump.xml"
    dump(run, family, ["--xml"], path)
    text = re.sub(r"Create_time=\"[^\"]*\"|Update_time=\"[^\"]*\"|Check_time=\"[^\"]*\"", "", path.read_text(errors="replace"))
    rows = text.count("<row>")
    observation.note(test, "rows", rows)
    assert rows >= ROWS


def with_position(run, family):
    """The position of the log is told in the dump, as replicas are made from it."""
    if run.admin.column("SELECT @@log_bin") != [1]:
        raise observe.Skip("the server writes no binary log")
    if family != run.flavour:
        raise observe.Skip("asks only its own family's server")
    path = run.folder / "position.sql"
    option = "--source-data=2" if family == "mysql" else "--master-data=2"
    dump(run, family, ["--single-transaction", option], path)
    head = path.read_bytes()[:4000]
    assert b"LOG_FILE=" in head.upper(), head[:500]
