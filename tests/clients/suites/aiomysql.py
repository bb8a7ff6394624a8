"""aiomysql (Python, asyncio, pure Python): its own pytest suite, each test on asyncio and on uvloop.

Its fixtures log in as root over TLS; that name is the one thing changed here, so that root's
password stays as it is.
"""

from harness import fetch, place, supervise

NAME = "aiomysql"
FLAVOURS = ["mysql", "mariadb"]
ORDER = 2
VERSION = "0.3.2"
USER = "aiomysql"
NEEDS = ["pytest==8.4.2", "PyMySQL==1.1.2", "SQLAlchemy==1.3.24", "uvloop==0.22.1", "cryptography", "setuptools<81"]

RENAMED = [
    ("conftest.py", "'user': 'root'", "'user': os.environ['MYSQL_ROOT_USER']"),
    ("test_connection.py", "conn.user == 'root'", "conn.user == mysql_params['user']"),
]


def prepare():
    source = fetch.sdist(NAME, f"aiomysql=={VERSION}")
    fetch.venv(NAME, NEEDS, [source])
    for name, before, after in RENAMED:
        path = source / "tests" / name
        path.write_text(path.read_text().replace(before, after))


def setup(run):
    run.admin.grant_all(USER)


def run(run):
    source = fetch.sdist(NAME, f"aiomysql=={VERSION}")
    python = fetch.venv(NAME, [])
    address = f"server={run.endpoint.host}:{run.endpoint.port}"
    command = [python, "-m", "pytest", "-q", "-p", "pytest_events", "-p", "no:cacheprovider",
               "--mysql-address", address, "tests"]  # fmt: skip
    extra = {
        "MYSQL_ROOT_USER": USER,
        "MYSQL_ROOT_PASSWORD": run.admin.password,
        "MYSQL_USER": USER,
        "MYSQL_PASSWORD": run.admin.password,
        "PYTHONPATH": place.EVENTS,
    }
    watch = run.watch(silence=60, total=1500)
    supervise.supervise(command, run.log, watch, folder=source, extra=extra)
    return watch
