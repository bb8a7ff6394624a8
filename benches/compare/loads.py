"""The loads, and one sysbench run of one of them against one target.

A run yields queries per second, the 99th percentile of an event (a transaction in the
read-only and read-write loads, a visit in `connect`, else a query), and what the proxy's
process spent on it.
"""

import os
import re
import subprocess
from dataclasses import dataclass

import process
from server import sysbench_options

HERE = os.path.dirname(os.path.abspath(__file__))
LARGE = ["--skip_trx=on", "--point_selects=0", "--simple_ranges=1", "--sum_ranges=0"]
LARGE += ["--order_ranges=0", "--distinct_ranges=0", "--range_size=5000"]


@dataclass(frozen=True)
class Load:
    """A sysbench script with its arguments, by text or by prepared statements."""

    name: str
    script: str
    mode: str
    arguments: tuple = ()

    @property
    def key(self):
        return f"{self.name}/{self.mode}"


@dataclass
class Figures:
    """What one run gave; `cpu` (microseconds per query) and `rss` (KiB, peak) are the proxy's."""

    rate: float
    p99: float
    cpu: float | None
    rss: int | None


class RunFailed(Exception):
    """A run that gave no figures, with the reason to print."""


def _both(name, script, *arguments):
    return [Load(name, script, mode, arguments) for mode in ("text", "prepared")]


ALL = [
    *_both("point-select", "oltp_point_select"),
    *_both("read-only", "oltp_read_only"),
    *_both("read-write", "oltp_read_write"),
    *_both("large-ranges", "oltp_read_only", *LARGE),
    # Outside transactions, so that each read may go to another server.
    *_both("split-select", "oltp_point_select"),
    *_both("split-read-only", "oltp_read_only", "--skip_trx=on"),
    Load("connect", os.path.join(HERE, "connect.lua"), "text"),
]


def chosen(names):
    """The loads named: `point-select` is both of its modes, `point-select/text` one."""
    known = {load.key for load in ALL} | {load.name for load in ALL}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"no load {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    return [load for load in ALL if load.key in names or load.name in names]


def command(server, target, load, threads, seconds):
    return [
        "sysbench",
        load.script,
        *sysbench_options(server, target.endpoint),
        *load.arguments,
        f"--db-ps-mode={'disable' if load.mode == 'text' else 'auto'}",
        f"--threads={threads}",
        f"--time={seconds}",
        "--percentile=99",
        "--forced-shutdown=10",
        "run",
    ]


def run(server, target, load, threads, seconds):
    """One run; raises RunFailed with the first thing that sysbench or /proc complained of."""
    try:
        if target.pid:
            process.reset_peak(target.pid)
        before = process.cpu_seconds(target.pid) if target.pid else 0
        output = sysbench(command(server, target, load, threads, seconds), seconds + 60)
        spent = process.cpu_seconds(target.pid) - before if target.pid else 0
        rss = process.peak_rss_kib(target.pid) if target.pid else None
    except RuntimeError as error:
        raise RunFailed(str(error)) from error
    queries = int(_number(r"queries:\s+(\d+)", output))
    if not queries:
        raise RunFailed("no query was answered")
    return Figures(
        rate=_number(r"queries:\s+\d+\s+\(([\d.]+) per sec", output),
        p99=_number(r"99th percentile:\s+([\d.]+)", output),
        cpu=spent * 1e6 / queries if target.pid else None,
        rss=rss,
    )


def sysbench(argv, patience):
    """The output of a whole run, which must have met no error and lost no connection."""
    child = process.spawn(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        output, _ = child.communicate(timeout=patience)
    except subprocess.TimeoutExpired as late:
        raise RunFailed(f"sysbench did not end within {patience} s") from late
    finally:
        process.stop(child, patience=1)
    fatal = re.search(r"(?:FATAL|ALERT): *(.*)", output)
    if child.returncode or fatal:
        raise RunFailed(fatal.group(1)[:200] if fatal else f"sysbench ended with status {child.returncode}")
    if _number(r"reconnects:\s+(\d+)", output):
        raise RunFailed("connections were lost during the run")
    return output


def queries(output):
    return int(_number(r"queries:\s+(\d+)", output))


def _number(pattern, output):
    found = re.search(pattern, output)
    if not found:
        raise RunFailed(f"sysbench's output has no {pattern!r}")
    return float(found.group(1))
