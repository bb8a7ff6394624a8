"""Where things lie: everything the suites fetch, build or write stays under target/clients.

Nothing is installed into the system and nothing outside that folder is written, so that removing
it brings back a clean start.
"""

from pathlib import Path

CLIENTS = Path(__file__).resolve().parent.parent
REPOSITORY = CLIENTS.parent.parent
TARGET = REPOSITORY / "target"
ROOT = TARGET / "clients"
LOGS = ROOT / "logs"
RESULTS = ROOT / "results"
DOWNLOADS = ROOT / "downloads"
EVENTS = CLIENTS / "events"


def work(name):
    """A folder for one suite's sources and build products."""
    folder = ROOT / "work" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def log(name):
    """The log file called `name`, in a folder that exists."""
    path = LOGS / f"{name}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
