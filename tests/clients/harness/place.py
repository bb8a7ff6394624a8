"""Where things lie: everything the suites fetch, build or write stays under target/clients.

Nothing is installed into the system and nothing outside that folder is written, so that removing
it brings back a clean start. SPLITRAIL_CLIENTS names another folder; two runs at once need two.
"""

import fcntl
import os
from pathlib import Path

CLIENTS = Path(__file__).resolve().parent.parent
REPOSITORY = CLIENTS.parent.parent
TARGET = REPOSITORY / "target"
ROOT = Path(os.environ.get("SPLITRAIL_CLIENTS") or TARGET / "clients")
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


def lock():
    """Claims the folder for this run: the file to keep open, or None when another run has it."""
    ROOT.mkdir(parents=True, exist_ok=True)
    claim = open(ROOT / "lock", "w")
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return claim
    except BlockingIOError:
        return None
