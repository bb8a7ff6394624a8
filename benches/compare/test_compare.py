"""What can be wrong without a server: parsing, ratios, and failures that must be seen.

Run with `python3 -m unittest discover benches/compare`.
"""

import os
import tempfile
import types
import unittest

import loads
import report
import syscalls
import trials
from loads import Figures


def results(cell, *targets):
    options = types.SimpleNamespace(rounds=2, seconds=1, syscall_threads=8, context=set())
    server = types.SimpleNamespace(flavour="mysql", version="9")
    made = report.Results(list(targets), options, server)
    made.cells = {"point-select/text": {8: cell}}
    return made


def target(name, pid=1, failure=None):
    return types.SimpleNamespace(name=name, pid=pid, version="1", failure=failure)


class Report(unittest.TestCase):
    def test_a_ratio_is_taken_within_a_round(self):
        base = [Figures(100, 1, 10, 1), Figures(50, 1, 10, 1), Figures(10, 1, 10, 1)]
        mine = [Figures(90, 1, 11, 1), Figures(45, 1, 11, 1), "lost"]
        text = report.markdown(results({"haproxy": base, "splitrail": mine}, target("haproxy"), target("splitrail")))
        self.assertIn("| point-select/text | **0.90** | 1.10 |", text)
        self.assertIn("**1 of 3 FAILED**", text)
        self.assertIn("splitrail, point-select/text, 8 threads: 1 of 3 runs failed: lost", text)

    def test_a_target_that_does_not_start_is_in_the_tables(self):
        text = report.markdown(results({}, target("router", failure="does not start: no such file")))
        self.assertIn("**FAILED**: router does not start: no such file", text)
        self.assertIn("| 8 | router | **FAILED** |", text)

    def test_who_splits_is_compared_with_who_splits(self):
        base, mine = [Figures(100, 1, 10, 1)] * 2, [Figures(99, 1, 10, 1)] * 2
        cell = {"haproxy": [Figures(1, 1, 1, 1)] * 2, "haproxy-split": base, "splitrail-split": mine}
        text = report.markdown(results(cell, target("haproxy-split"), target("splitrail-split")))
        self.assertIn("| point-select/text | 0.99 | 1.00 |", text)

    def test_only_the_part_between_the_markers_is_written(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "page.md")
            with open(path, "w") as file:
                file.write("before\n<!-- split: begin -->\nold\n<!-- split: end -->\nafter\n")
            report.write(path, "new\n", "split")
            with open(path) as file:
                page = file.read()
        self.assertTrue(page.startswith("before\n") and page.endswith("\nafter\n"))
        self.assertIn("new", page)
        self.assertNotIn("old", page)


class Trials(unittest.TestCase):
    def test_a_way_is_compared_with_the_first_of_its_round(self):
        ways = [trials.Way("direct", target("direct", None), 8), trials.Way("mine", target("mine"), 16, 2.0)]
        trial = trials.Trial("Title", "Words.", trials.HELD, ways)
        trial.cells = {"direct": [Figures(100, 1, None, None)] * 2, "mine": [Figures(190, 1, 9, 1), "lost"]}
        text = trial.markdown(report._table)
        self.assertIn("| mine | 16 | 190 | **1.90** | 2.00 | 1.00 | 9.0 |", text)
        self.assertEqual(list(trial.failures()), ["mine, held-select/text: 1 of 2 runs failed: lost"])


class Loads(unittest.TestCase):
    def test_a_load_is_named_with_or_without_its_mode(self):
        self.assertEqual([load.key for load in loads.chosen(["connect", "read-only/text"])], ["read-only/text", "connect/text"])
        self.assertEqual(len(loads.chosen(["point-select"])), 2)
        with self.assertRaises(ValueError):
            loads.chosen(["point-selects"])


class Syscalls(unittest.TestCase):
    def test_the_total_is_no_call(self):
        text = "    calls syscall\n--------- --------\n       12 read\n        3 epoll_wait\n--------- --------\n       15 total\n"
        self.assertEqual(syscalls._counts(text), {"read": 12, "epoll_wait": 3})


if __name__ == "__main__":
    unittest.main()
