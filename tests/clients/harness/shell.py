"""Runs commands with a hard time limit, a log file, and no child left behind."""

import os
import shutil
import signal
import subprocess
import time


class Missing(Exception):
    """Something the machine must have is not there; the message says what to install."""


class Failed(Exception):
    """A command that had to succeed did not; the message names its log."""


def need(*tools):
    """Stops with a plain message when one of `tools` ("name" or "name=package") is absent."""
    for tool in tools:
        name, _, package = tool.partition("=")
        if shutil.which(name) is None:
            raise Missing(f"{name} is needed: install the package {package or name}")


def environment(extra=None):
    """This process's environment without what could steer a client library, plus `extra`."""
    clean = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("MYSQL", "MARIADB", "PYTEST_", "GO"))
    }
    clean.update({"LC_ALL": "C.UTF-8", "HOME": os.environ.get("HOME", "/tmp")})
    clean.update({key: str(value) for key, value in (extra or {}).items()})
    return clean


def start(command, log, folder=None, extra=None, stdin=None, stdout=None):
    """Starts `command` in a process group of its own, at low priority."""
    return subprocess.Popen(
        ["nice", "-n", "10", *map(str, command)],
        cwd=folder,
        env=environment(extra),
        stdin=stdin or subprocess.DEVNULL,
        stdout=stdout or log,
        stderr=log,
        start_new_session=True,
    )


def end(process, grace=5):
    """Ends `process` and all it started: first asked, then told."""
    for number, wait in ((signal.SIGTERM, grace), (signal.SIGKILL, 5)):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        deadline = time.monotonic() + wait
        while time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.05)
    process.wait()


def run(command, log, limit, folder=None, extra=None, stdin=None, stdout=None):
    """Runs `command` for at most `limit` seconds; gives its exit code, or None when it was ended."""
    with open(log, "ab") as output:
        output.write(f"\n$ {' '.join(map(str, command))}\n".encode())
        output.flush()
        process = start(command, output, folder, extra, stdin, stdout)
        try:
            return process.wait(limit)
        except subprocess.TimeoutExpired:
            output.write(f"ended after {limit} s\n".encode())
            return None
        finally:
            end(process)


def must(command, log, limit, **more):
    """Like `run`, for a step without which the suite cannot go on."""
    code = run(command, log, limit, **more)
    if code != 0:
        raise Failed(f"{' '.join(map(str, command[:4]))} ... ended with {code}: see {log}")


def capture(command, log, limit, merge=False, **more):
    """Runs `command` and gives (exit code, standard output as bytes), with standard error in the
    output too when `merge` is set, else in the log."""
    with open(log, "ab") as errors:
        process = start(command, subprocess.STDOUT if merge else errors, stdout=subprocess.PIPE, **more)
        try:
            output, _ = process.communicate(timeout=limit)
            return process.returncode, output
        except subprocess.TimeoutExpired:
            end(process)
            return None, process.communicate()[0] or b""
        finally:
            end(process)
