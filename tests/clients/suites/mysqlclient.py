"""mysqlclient (Python, C library): the bindings most Django sites use, with its own pytest suite.

It is built against the C library that the machine's development package offers (libmariadb on
Debian).
"""

from harness import fetch, place, shell, supervise

NAME = "mysqlclient"
FLAVOURS = ["mysql", "mariadb"]
ORDER = 1
VERSION = "2.3.1"
DATABASE = "mysqldb_test"
USER = "mysqlclient"
# The package's metadata asks for the C library, which unpacking does not need.
UNPACK_ONLY = {"MYSQLCLIENT_CFLAGS": "-I.", "MYSQLCLIENT_LDFLAGS": "-L."}


def prepare():
    shell.need("cc=build-essential", "pkg-config", "mariadb_config=libmariadb-dev")
    source = fetch.sdist(NAME, f"mysqlclient=={VERSION}", UNPACK_ONLY)
    fetch.venv(NAME, ["pytest==8.4.2", "SQLAlchemy==2.0.44", "setuptools"], [source])


def setup(run):
    run.admin.grant_all(USER)
    run.admin.database(DATABASE)


def run(run):
    source = fetch.sdist(NAME, f"mysqlclient=={VERSION}", UNPACK_ONLY)
    python = fetch.venv(NAME, [])
    end = run.endpoint
    settings = run.folder / "client.cnf"
    settings.write_text(
        "[MySQLdb-tests]\n"
        f"host = {end.host}\nport = {end.port}\nuser = {USER}\npassword = {run.admin.password}\n"
        f"database = {DATABASE}\ndefault-character-set = utf8mb4\nlocal-infile = 1\n"
    )
    watch = run.watch(silence=60, total=900)
    command = [python, "-m", "pytest", "-q", "-p", "pytest_events", "-p", "no:cacheprovider", "tests"]
    extra = {"TESTDB": settings, "PYTHONPATH": place.EVENTS}
    supervise.supervise(command, run.log, watch, folder=source, extra=extra)
    return watch
