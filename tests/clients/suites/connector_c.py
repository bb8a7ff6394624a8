"""MySQL Connector/Python over its C extension: the same tests through MySQL's own C library, libmysqlclient.

The extension and the library come inside the package's wheel; the tests are those of the source.
"""

import shutil

from harness import fetch, place, shell
from suites import connector_python

NAME = "connector-c"
FLAVOURS = connector_python.FLAVOURS
ORDER = 7


def prepare():
    """The source once more, with the wheel's compiled parts laid into it."""
    fetch.venv(NAME, [*connector_python.NEEDS, f"mysql-connector-python=={connector_python.VERSION}"])
    fetch.once(place.work(NAME), "source", make_source)


def make_source():
    original = connector_python.source()
    here = place.work(NAME) / "source"
    shutil.rmtree(here, ignore_errors=True)
    shutil.copytree(original, here)
    packages = next((place.work(NAME) / "venv" / "lib").glob("python*/site-packages"))
    compiled = list(packages.glob("_mysql_connector*.so"))
    if not compiled:
        raise shell.Missing("the wheel of mysql-connector-python for this machine has no C extension")
    for path in compiled:
        shutil.copy2(path, here / "lib")
    for folder in ("mysql/vendor", "mysql_connector_python.libs"):
        if (packages / folder).exists():
            shutil.copytree(packages / folder, here / "lib" / folder, dirs_exist_ok=True)


def setup(run):
    connector_python.setup(run)


def run(run):
    return connector_python.run_in(run, place.work(NAME) / "source", fetch.venv(NAME, []))
