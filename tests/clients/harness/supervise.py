"""Watches a test runner that reports each test as it starts and ends.

A runner writes one JSON object a line to the file named by CLIENTS_EVENTS: {"start": name},
{"end": name, "status": "pass" | "fail" | "skip", "why": text}, {"finished": true}. A test that
hangs or takes the process down costs itself only: it is recorded, and the runner starts again
with the names that are done in the file named by CLIENTS_DONE.
"""

import json
import time

from . import shell

PASS, FAIL, SKIP, HANG, CRASH = "pass", "fail", "skip", "hang", "crash"


class Watch:
    """What is known so far of one run. `silence` and `total` are limits in seconds."""

    def __init__(self, base, silence=60, total=1800):
        base.parent.mkdir(parents=True, exist_ok=True)
        self.events = base.with_name(f"{base.name}.events")
        self.done = base.with_name(f"{base.name}.done")
        self.silence = silence
        self.deadline = time.monotonic() + total
        self.results = {}
        self.reasons = {}
        self.running = None
        self.finished = False
        self._read = 0

    def environment(self):
        """What the runner must know."""
        return {"CLIENTS_EVENTS": self.events, "CLIENTS_DONE": self.done}

    def rewind(self):
        """Before each start of the runner."""
        self.done.write_text("".join(f"{name}\n" for name in self.results))
        self.events.write_bytes(b"")
        self.running = None
        self._read = 0

    def poll(self):
        """Reads new events; true when there were any."""
        with open(self.events, "rb") as stream:
            stream.seek(self._read)
            fresh = stream.read()
        fresh = fresh[: fresh.rfind(b"\n") + 1]
        self._read += len(fresh)
        for line in fresh.splitlines():
            self.take(json.loads(line))
        return bool(fresh)

    def take(self, event):
        """One event of the runner."""
        if "start" in event:
            self.running = event["start"]
        elif "end" in event:
            self.record(event["end"], event["status"], event.get("why", ""))
            self.running = None
        elif "finished" in event:
            self.finished = True

    def record(self, name, status, why=""):
        """Keeps the worst that was said of a test."""
        worst = [PASS, SKIP, FAIL, CRASH, HANG]
        known = self.results.get(name, PASS)
        self.results[name] = max(known, status, key=worst.index)
        if why:
            self.reasons[name] = why[-2000:]


def supervise(command, log, watch, folder=None, extra=None):
    """Runs `command` until all tests are done or the time is up; the results are in `watch`."""
    environment = {**(extra or {}), **watch.environment()}
    barren = 0
    while not watch.finished and time.monotonic() < watch.deadline:
        before = len(watch.results)
        watch.rewind()
        with open(log, "ab") as output:
            output.write(f"\n$ {' '.join(map(str, command))}\n".encode())
            output.flush()
            process = shell.start(command, output, folder, environment)
            try:
                hung = follow(process, watch)
            finally:
                shell.end(process)
        watch.poll()
        if watch.running is not None and not watch.finished:
            watch.record(watch.running, HANG if hung else CRASH)
        # A runner that twice gets nowhere would do so for ever.
        barren = barren + 1 if len(watch.results) == before else 0
        if barren >= 2:
            break


def follow(process, watch):
    """Waits for the runner's end; true when it had to be given up."""
    heard = time.monotonic()
    while True:
        ended = process.poll() is not None
        if watch.poll():
            heard = time.monotonic()
        if ended:
            return False
        if watch.finished:
            # Some runners hang on their way out; their word is enough.
            heard = min(heard, time.monotonic() - watch.silence + 10)
        now = time.monotonic()
        if now - heard > watch.silence or now > watch.deadline:
            return True
        time.sleep(0.1)


def each(names, make, parse, log, watch, limit=60, folder=None, extra=None):
    """Runs every test in a process of its own: `make(name)` gives the command, `parse(name, code,
    output)` pairs of (test name, status, why). For runners whose start costs little."""
    for name in names:
        left = watch.deadline - time.monotonic()
        if left <= 0:
            return
        code, output = shell.capture(make(name), log, min(limit, left), merge=True, folder=folder, extra=extra)
        with open(log, "ab") as stream:
            stream.write(b"\n== " + name.encode() + b"\n" + output)
        if code is None:
            watch.record(name, HANG)
            continue
        for test, status, why in parse(name, code, output.decode(errors="replace")):
            watch.record(test, status, why)
    watch.finished = True
