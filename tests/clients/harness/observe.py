"""For suites of our own: what a test saw direct is what it must see through the proxy.

That shows differences nobody thought to assert. What differs between any two runs (times, ids,
addresses) is blotted out by the suite before it is noted.
"""

import json

from . import place
from .supervise import FAIL, PASS, SKIP


class Skip(Exception):
    """A test that does not apply here; the message says why."""


class Observation:
    """What the tests of one run saw, and what they saw direct."""

    def __init__(self, run):
        folder = place.RESULTS / run.flavour
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{run.suite}.{run.side}.observed.json"
        earlier = folder / f"{run.suite}.direct.observed.json"
        compare = run.side == "proxy" and earlier.exists()
        self.expected = json.loads(earlier.read_text()) if compare else {}
        self.seen = {}

    def note(self, test, label, value):
        """Keeps `value` and stops the test when it is not what was seen direct."""
        self.seen.setdefault(test, {})[label] = value
        before = self.expected.get(test, {})
        if label in before and before[label] != value:
            raise AssertionError(f"{label}: direct {before[label]!r}, now {value!r}")

    def test(self, watch, name, action):
        """Runs one test and records what became of it."""
        try:
            action(name)
            watch.record(name, PASS)
        except Skip as reason:
            watch.record(name, SKIP, str(reason))
        except Exception as error:
            watch.record(name, FAIL, f"{type(error).__name__}: {error}")
        self.path.write_text(json.dumps(self.seen, indent=1, sort_keys=True) + "\n")
