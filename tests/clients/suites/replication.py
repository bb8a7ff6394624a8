"""mysql-replication (Python): reads the binary log as a replica does, the way change-data capture works."""

import json

from harness import fetch, place, supervise

NAME = "replication"
FLAVOURS = ["mysql", "mariadb"]
# The last one: on MariaDB it empties the primary's binary log, and replicas follow no more.
ORDER = 8
VERSION = "1.0.17"
# The servers of a sandbox replicate as "replication".
USER = "reader_of_the_log"
DATABASE = "pymysqlreplication_test"
NEEDS = ["pytest==8.4.2", "PyMySQL==1.1.2", "cryptography", "packaging"]
TESTS = "pymysqlreplication/tests"


def source():
    return fetch.sdist(NAME, f"mysql-replication=={VERSION}")


def prepare():
    source()
    fetch.venv(NAME, NEEDS)


def setup(run):
    # As the suite's own containers are configured.
    for setting in ("binlog_format = 'ROW'", "binlog_row_image = 'FULL'", "binlog_row_metadata = 'FULL'"):
        run.admin.attempt(f"SET GLOBAL {setting}")
    # Nobody acknowledges then what the primary commits.
    run.admin.attempt("SET GLOBAL rpl_semi_sync_master_enabled = OFF")
    run.admin.grant_all(USER)
    run.admin.database(DATABASE)


def run(run):
    end = run.endpoint
    login = {"host": end.host, "port": end.port, "user": USER, "passwd": run.admin.password,
             "use_unicode": True, "charset": "utf8", "db": DATABASE}  # fmt: skip
    kind = {"mysql": "mysql-8", "mariadb": "mariadb-10"}[run.flavour]
    (source() / TESTS / "config.json").write_text(json.dumps({kind: login, "mysql-5": login, "mysql-5-ctl": login}))
    command = [fetch.venv(NAME, []), "-m", "pytest", "-q", "-p", "pytest_events", "-p", "no:cacheprovider",
               "--db", kind, TESTS]  # fmt: skip
    watch = run.watch(silence=30, total=1500)
    supervise.supervise(command, run.log, watch, folder=source(), extra={"PYTHONPATH": place.EVENTS})
    return watch
