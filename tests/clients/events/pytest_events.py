"""A pytest plugin that reports each test as it starts and ends (see harness/supervise.py)."""

import json
import os

STREAM = open(os.environ["CLIENTS_EVENTS"], "a", buffering=1)
with open(os.environ["CLIENTS_DONE"]) as names:
    DONE = {line.rstrip("\n") for line in names}
RANK = ["pass", "skip", "fail"]
OUTCOME = {"passed": "pass", "failed": "fail", "skipped": "skip"}
seen = {}


def tell(**event):
    STREAM.write(json.dumps(event) + "\n")


def key(nodeid):
    return nodeid.replace("\n", "\\n")


def pytest_collection_modifyitems(config, items):
    gone = [item for item in items if key(item.nodeid) in DONE]
    config.hook.pytest_deselected(items=gone)
    items[:] = [item for item in items if key(item.nodeid) not in DONE]


def pytest_runtest_logstart(nodeid, location):
    seen[nodeid] = ("pass", "")
    tell(start=key(nodeid))


def pytest_runtest_logreport(report):
    status = OUTCOME[report.outcome]
    if report.when != "call" and status == "pass":
        return
    known, why = seen.get(report.nodeid, ("pass", ""))
    if RANK.index(status) > RANK.index(known):
        why = report.longreprtext if status == "fail" else str(report.longrepr)
        seen[report.nodeid] = (status, why)


def pytest_runtest_logfinish(nodeid, location):
    status, why = seen.pop(nodeid)
    tell(end=key(nodeid), status=status, why=why)


def pytest_sessionfinish(session, exitstatus):
    if int(exitstatus) in (0, 1, 5):
        tell(finished=True)
