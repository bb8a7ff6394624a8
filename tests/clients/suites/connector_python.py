"""MySQL Connector/Python, the pure Python implementation: the unit tests of its source distribution."""

from harness import fetch, place, supervise

NAME = "connector-python"
FLAVOURS = ["mysql", "mariadb"]
ORDER = 6
VERSION = "26.10.0"
USER = "connector"
NEEDS = ["cryptography", "dnspython", "pytz", "typing_extensions"]


def source():
    return fetch.sdist(NAME, f"mysql-connector-python=={VERSION}")


def prepare():
    source()
    fetch.venv(NAME, NEEDS)


def setup(run):
    run.admin.grant_all(USER)


def run(run):
    return run_in(run, source(), fetch.venv(NAME, []))


def run_in(run, folder, python):
    """Runs the tests in `folder` by `python`."""
    end = run.endpoint
    command = [python, place.EVENTS / "connector_python.py", "--skip-install", "--use-external-server",
               "--host", end.host, "--port", end.port, "--user", USER, "--password", run.admin.password,
               "--verbosity", "2"]  # fmt: skip
    if end.socket:
        command += ["--unix-socket", end.socket]
    watch = run.watch(silence=90, total=3000)
    supervise.supervise(command, run.log, watch, folder=folder)
    return watch
