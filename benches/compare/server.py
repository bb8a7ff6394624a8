"""The one server that every target stands before, and how it is made ready.

It comes from `splitrail sandbox --json`: started here, or running already (`--attach FILE`, the
line that it printed). Durability is relaxed and the connection limit raised, so that the proxies
are what is measured and not the disk; both are put back on exit.
"""

import contextlib
import json
import os
import selectors
import subprocess
import time

import process
import wire

DATABASE = "compare"
TABLES, ROWS = 4, 25000
SETTINGS = {"max_connections": "12000", "innodb_flush_log_at_trx_commit": "2", "sync_binlog": "0"}


class Server:
    """Where the primary and its replicas are, who may log in, and the proxy that came with the sandbox."""

    def __init__(self, line):
        primary = next(server for server in line["servers"] if server["role"] == "primary")
        replicas = [server for server in line["servers"] if server["role"] == "replica"]
        self.replicas = [(replica["host"], int(replica["port"])) for replica in replicas]
        self.flavour, self.version = line["flavour"], line["version"]
        self.endpoint = (primary["host"], int(primary["port"]))
        self.user, self.password = line["user"], line["password"]
        self.proxy_pid = line.get("proxy_pid")
        self.proxy_endpoint = (line["host"], int(line["port"])) if self.proxy_pid else None

    def sql(self, *statements):
        return wire.run(self.endpoint, self.user, self.password, *statements)


def sandbox(stack, binary, flavour, replicas):
    """Starts a sandbox; the stack ends it."""
    if not os.access(binary, os.X_OK):
        raise RuntimeError(f"{binary} is not there: cargo build --release makes it")
    command = [binary, "sandbox", "--flavour", flavour, "--replicas", str(replicas), "--json"]
    child = process.spawn(command, stdout=subprocess.PIPE, text=True)
    stack.callback(process.stop, child, patience=60)
    return Server(json.loads(_first_line(child, 300)))


def attach(path):
    with open(path) as file:
        return Server(json.loads(file.readline()))


def prepare(stack, server):
    """Settings and data; what it changed is undone by the stack."""
    for name, value in SETTINGS.items():
        with contextlib.suppress(wire.ServerError):  # a server without its binary log's variable
            before = server.sql(f"SELECT @@GLOBAL.{name}")[0][0]
            server.sql(f"SET GLOBAL {name} = {value}")
            stack.callback(_restore, server, name, before)
    server.sql(f"DROP DATABASE IF EXISTS {DATABASE}", f"CREATE DATABASE {DATABASE}")
    stack.callback(_restore_database, server)
    subprocess.run(
        ["sysbench", "oltp_read_write", *sysbench_options(server, server.endpoint), "--threads=2", "prepare"],
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=300,
    )
    catch_up(server)


def catch_up(server, patience=120):
    """Returns when all replicas have the data that the loads read."""
    last = f"SELECT COUNT(*) FROM {DATABASE}.sbtest{TABLES}"
    deadline = time.monotonic() + patience
    for replica in server.replicas:
        while True:
            with contextlib.suppress(wire.ServerError):  # the tables are not there yet
                if wire.run(replica, server.user, server.password, last) == [[str(ROWS)]]:
                    break
            if time.monotonic() > deadline:
                raise RuntimeError("a replica does not catch up")
            time.sleep(0.1)


def sysbench_options(server, endpoint):
    """What every sysbench run shares: plain TCP, this account, these tables."""
    host, port = endpoint
    return [
        "--db-driver=mysql",
        f"--mysql-host={host}",
        f"--mysql-port={port}",
        f"--mysql-user={server.user}",
        f"--mysql-password={server.password}",
        f"--mysql-db={DATABASE}",
        "--mysql-ssl=off",
        f"--tables={TABLES}",
        f"--table_size={ROWS}",
        "--rand-type=uniform",
    ]


def _first_line(child, patience):
    """The line that says all is ready; a sandbox that stays silent or ends is an error."""
    deadline = time.monotonic() + patience
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        if selector.select(deadline - time.monotonic()):
            line = child.stdout.readline()
            if line.strip():
                return line
    raise RuntimeError("the sandbox printed no line on standard output; its log is above")


def _restore(server, name, value):
    with contextlib.suppress(OSError, wire.ServerError):
        server.sql(f"SET GLOBAL {name} = {value}")


def _restore_database(server):
    with contextlib.suppress(OSError, wire.ServerError):
        server.sql(f"DROP DATABASE IF EXISTS {DATABASE}")
