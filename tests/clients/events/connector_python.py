"""Runs MySQL Connector/Python's own unittests.py, reporting each test as it starts and ends.

It is started in the unpacked source with that script's own arguments; only the runner's class is
replaced (see harness/supervise.py for what is reported).
"""

import os
import sys

sys.path[:0] = [os.getcwd(), os.path.join(os.getcwd(), "lib")]
try:
    # Before anything loads the system's TLS library, which may be older than the one it comes with.
    import _mysql_connector  # noqa: F401
except ImportError:
    pass

import json  # noqa: E402
import traceback  # noqa: E402
import unittest  # noqa: E402

STREAM = open(os.environ["CLIENTS_EVENTS"], "a", buffering=1)
with open(os.environ["CLIENTS_DONE"]) as names:
    DONE = {line.rstrip("\n") for line in names}


def tell(**event):
    STREAM.write(json.dumps(event) + "\n")


def flatten(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from flatten(item)
        else:
            yield item


class Result(unittest.TextTestResult):
    """Says what becomes of each test; a failing subtest fails its test."""

    def startTest(self, test):
        super().startTest(test)
        self.status = ("pass", "")
        tell(start=test.id())

    def stopTest(self, test):
        super().stopTest(test)
        tell(end=test.id(), status=self.status[0], why=self.status[1])

    def failed(self, error):
        self.status = ("fail", "".join(traceback.format_exception(*error)))

    def addError(self, test, error):
        super().addError(test, error)
        self.failed(error)
        if not isinstance(test, unittest.TestCase):
            # A class or module whose set-up failed takes its tests with it.
            tell(end=str(test), status="fail", why=self.status[1])

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.failed(error)

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            self.failed(error)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.status = ("skip", reason)

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.status = ("fail", "unexpected success")


class Runner(unittest.TextTestRunner):
    resultclass = Result

    def run(self, suite):
        left = [test for test in flatten(suite) if test.id() not in DONE]
        result = super().run(unittest.TestSuite(left))
        tell(finished=True)
        return result


import unittests  # noqa: E402

unittests.BasicTestRunner = Runner
unittests.main()
