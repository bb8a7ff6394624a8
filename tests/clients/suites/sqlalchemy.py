"""SQLAlchemy's tests for MySQL and its suite for dialects: what an ORM asks of a server, reflection above all.

They run through PyMySQL, in pure Python.
"""

from harness import fetch, place, supervise

NAME = "sqlalchemy"
FLAVOURS = ["mysql", "mariadb"]
ORDER = 4
VERSION = "2.0.44"
USER = "sqlalchemy"
DATABASES = ["alchemy", "test_schema", "test_schema_2"]
NEEDS = ["pytest==8.3.5", "pytest-xdist", "PyMySQL==1.1.2", "cryptography", "greenlet", "typing_extensions"]
TESTS = ["test/dialect/mysql", "test/dialect/test_suite.py"]


def source():
    return fetch.sdist(NAME, f"sqlalchemy=={VERSION}")


def prepare():
    # The compiled speed-ups change nothing of what is sent.
    fetch.venv(NAME, NEEDS, [source()], {"DISABLE_SQLALCHEMY_CEXT": "1"})


def setup(run):
    run.admin.grant_all(USER)
    for name in DATABASES:
        run.admin.database(name)


def run(run):
    end = run.endpoint
    driver = {"mysql": "mysql+pymysql", "mariadb": "mariadb+pymysql"}[run.flavour]
    address = f"{driver}://{USER}:{run.admin.password}@{end.host}:{end.port}/{DATABASES[0]}?charset=utf8mb4"
    command = [fetch.venv(NAME, []), "-m", "pytest", "-q", "-p", "pytest_events", "-p", "no:cacheprovider",
               "-p", "no:xdist", "-p", "no:logging", "--maxfail=100000", "--dburi", address, *TESTS]  # fmt: skip
    watch = run.watch(silence=90, total=1800)
    supervise.supervise(command, run.log, watch, folder=source(), extra={"PYTHONPATH": place.EVENTS})
    return watch
