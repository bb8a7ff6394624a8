"""Processes: started so that none outlives the run, and read through /proc.

CPU time is what all threads of a process have run, in nanoseconds where the kernel counts them and in
hundredths of a second otherwise, with that of children that run the same program (a proxy may fork
workers; a sandbox's servers are not the proxy).
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import time

TICKS = os.sysconf("SC_CLK_TCK")
PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG
LIBC = ctypes.CDLL(None)


def spawn(argv, **options):
    """Starts `argv` in its own session; it is told to end if this process dies first."""

    def before_exec():
        LIBC.prctl(PARENT_DEATH_SIGNAL, signal.SIGTERM)

    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.Popen(argv, start_new_session=True, preexec_fn=before_exec, **options)


def stop(child, asked=signal.SIGTERM, patience=15):
    """Ends a child that `spawn` started: asked first, then killed with its whole session."""
    if child.poll() is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        child.send_signal(asked)
    try:
        child.wait(patience)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def wait_until(ready, child, patience, what):
    """Polls `ready` until it is true; raises when the child ends or patience does."""
    deadline = time.monotonic() + patience
    while not ready():
        if child.poll() is not None:
            raise RuntimeError(f"{what} ended with status {child.returncode} while starting")
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} was not ready after {patience} s")
        time.sleep(0.05)


def cpu_seconds(pid):
    """User and system time of the process, its threads and its own kind of children."""
    return sum(_run_time(member) for member in family(pid))


def family(pid):
    """The process and its descendants that run the same executable."""
    program = _program(pid)
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError, IndexError):
                parents.setdefault(int(_stat(int(entry))[1]), []).append(int(entry))
    members, pending = [], [pid]
    while pending:
        member = pending.pop()
        members.append(member)
        pending.extend(child for child in parents.get(member, []) if _program(child) == program)
    return members


def rss_kib(pid):
    return sum(_status(member, "VmRSS") for member in family(pid))


def peak_rss_kib(pid):
    return sum(_status(member, "VmHWM") for member in family(pid))


def reset_peak(pid):
    """Lets the peak start again from now; where that is not allowed the old peak stays."""
    for member in family(pid):
        with contextlib.suppress(OSError), open(f"/proc/{member}/clear_refs", "w") as file:
            file.write("5")


def _program(pid):
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return None


def _stat(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()


def _run_time(pid):
    """A thread that has ended is not in it: proxies keep theirs."""
    try:
        threads, total = f"/proc/{pid}/task", 0
        for thread in os.listdir(threads):
            with open(f"{threads}/{thread}/schedstat") as file:
                total += int(file.read().split()[0])
        return total / 1e9
    except (OSError, IndexError):
        return _ticks(pid) / TICKS


def _ticks(pid):
    try:
        user, system, *_ = (int(field) for field in _stat(pid)[11:13])
        return user + system
    except OSError as gone:
        raise RuntimeError(f"process {pid} has gone") from gone


def _status(pid, key):
    try:
        with open(f"/proc/{pid}/status") as file:
            for line in file:
                if line.startswith(key + ":"):
                    return int(line.split()[1])
    except OSError as gone:
        raise RuntimeError(f"process {pid} has gone") from gone
    return 0
