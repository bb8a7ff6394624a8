"""System calls per query of the proxies, counted by strace over one run.

strace slows the process down, which merges reads less and waits more often than at full speed:
compare the targets with each other, not with an untraced run.
"""

import os
import re
import signal
import subprocess
import time

import loads
import process


def measure(server, target, load, threads, seconds, folder):
    """A dictionary of calls per query by name, or raises RunFailed."""
    path = os.path.join(folder, f"strace.{target.name}")
    tracer = process.spawn(
        ["strace", "-c", "-f", "-U", "calls,name", "-o", path, *_attach_to(target.pid)],
        stderr=subprocess.DEVNULL,
    )
    try:
        time.sleep(1)
        if tracer.poll() is not None:
            raise loads.RunFailed("strace cannot attach (it needs ptrace rights)")
        output = loads.sysbench(loads.command(server, target, load, threads, seconds), seconds + 60)
    finally:
        process.stop(tracer, signal.SIGINT)
    queries = loads.queries(output)
    with open(path) as file:
        return {name: calls / queries for name, calls in _counts(file.read()).items()}


def _attach_to(pid):
    return [argument for member in process.family(pid) for argument in ("-p", str(member))]


def _counts(text):
    rows = re.findall(r"^\s*(\d+)\s+(\w+)\s*$", text, re.MULTILINE)
    return {name: int(calls) for calls, name in rows if name != "total"}
