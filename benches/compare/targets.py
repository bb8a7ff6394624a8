"""The ways to the server that are compared: each is an endpoint and, behind it, a process.

Every proxy gets two worker threads and plain TCP on both sides. A target that cannot be
started is kept with its reason, so that the report says so instead of leaving it out.
"""

import glob
import os
import re
import socket
import subprocess

import process
import wire

NAMES = ["direct", "haproxy", "router", "router-sharing", "splitrail"]  # unless others are asked for
# Those that send reads to two replicas; the first is what the others are compared with.
SPLIT = ["haproxy-split", "router-split", "splitrail-split"]
WORKERS = 2
# The default of `pool.max_connections`.
CONNECTIONS = 100

HAPROXY = """\
global
    nbthread {workers}
    maxconn 9000
defaults
    mode tcp
    timeout connect 10s
    timeout client 1h
    timeout server 1h
    maxconn 9000
frontend mysql
    bind 127.0.0.1:{port} backlog 4096
    default_backend server
backend server
    server primary {host}:{server_port}
"""

# What a program that keeps its reads and its writes apart by itself would use: two ports.
HAPROXY_SPLIT = """\
{common}
frontend reads
    bind 127.0.0.1:{port} backlog 4096
    default_backend replicas
frontend writes
    bind 127.0.0.1:{write_port} backlog 4096
    default_backend primary
backend primary
    server primary {host}:{server_port}
backend replicas
    balance leastconn
{replicas}
"""

ROUTER = """\
[DEFAULT]
plugin_folder={plugins}
logging_folder=
runtime_folder={folder}
data_folder={folder}
max_total_connections=9000
unknown_config_option=error
[logger]
level=warning
[io]
threads={workers}
[connection_pool]
max_idle_server_connections={pool}
idle_timeout=60
[routing:compare]
bind_address=127.0.0.1
bind_port={port}
destinations={destinations}
routing_strategy={strategy}
protocol=classic
max_connections=9000
client_connect_timeout=30
connection_sharing={sharing}
{tls}
"""
# Shared connections are logged in anew by Router, so it must learn the client's password: it
# needs a key to be asked for it, though no TLS is spoken by either side.
ROUTER_PLAIN = "client_ssl_mode=DISABLED\nserver_ssl_mode=DISABLED\n"
ROUTER_KEYED = "client_ssl_mode=PREFERRED\nclient_ssl_cert={folder}/cert.pem\nclient_ssl_key={folder}/key.pem\nserver_ssl_mode=DISABLED\n"


# A proxy with settings of its own before some of the sandbox's servers. As for the others, no TLS anywhere: the
# sandbox's own would read the servers' accounts over it.
SPLITRAIL = """\
listeners: [{{address: "127.0.0.1:{port}"}}]
servers:
{servers}
accounts: backend
monitor: {{user: {user}, password: {password}}}
pool: {{max_connections: {connections}}}
routing: {{reads_from_primary: {from_primary}}}
tls: {{server: {{mode: off}}}}
limits: {{client_connections: 20000}}
workers: {workers}
"""


class Target:
    """One way to the server. `failure` holds the reason when there is none."""

    def __init__(self, name, endpoint=None, pid=None, version="", failure=None, child=None):
        self.name, self.endpoint, self.pid = name, endpoint, pid
        self.version, self.failure, self.child = version, failure, child


def start(stack, name, server, folder):
    """Starts the target, or returns it with the reason why not."""
    folder = os.path.join(folder, name)
    try:
        os.makedirs(folder)
        target = STARTERS[name](stack, server, folder)
        wire.run(target.endpoint, server.user, server.password, "SELECT 1")
        return target
    except (OSError, RuntimeError, wire.ServerError, TimeoutError, EOFError) as error:
        return Target(name, failure=f"does not start: {str(error) or type(error).__name__}")


def _direct(_stack, server, _folder):
    return Target("direct", server.endpoint, version=f"{server.flavour} {server.version}")


def _splitrail(stack, server, folder):
    """The sandbox's own program, with a configuration like those of the others."""
    return splitrail(stack, server, folder, "splitrail", _sandbox_program(server), CONNECTIONS, [])


def _sandbox_program(server):
    if not server.proxy_pid:
        raise RuntimeError("the sandbox has no proxy")
    return os.readlink(f"/proc/{server.proxy_pid}/exe")


def _haproxy(stack, server, folder, name="haproxy"):
    port = _free_port()
    path = os.path.join(folder, "haproxy.cfg")
    host, server_port = server.endpoint
    _write(path, HAPROXY.format(workers=WORKERS, port=port, host=host, server_port=server_port))
    binary = _installed("haproxy", "/usr/sbin/haproxy")
    return _ready(stack, name, [binary, "-db", "-q", "-f", path], folder, port, _version([binary, "-v"]))


def _haproxy_split(stack, server, folder):
    """A port for reads over the replicas, and one for writes that nothing here uses."""
    port, write_port = _free_port(), _free_port()
    common = HAPROXY.split("frontend")[0].format(workers=WORKERS)
    lines = [f"    server replica{index} {host}:{at}" for index, (host, at) in enumerate(_replicas(server))]
    host, server_port = server.endpoint
    path = os.path.join(folder, "haproxy.cfg")
    text = HAPROXY_SPLIT.format(
        common=common, port=port, write_port=write_port, host=host, server_port=server_port, replicas="\n".join(lines)
    )
    _write(path, text)
    binary = _installed("haproxy", "/usr/sbin/haproxy")
    return _ready(stack, "haproxy-split", [binary, "-db", "-q", "-f", path], folder, port, _version([binary, "-v"]))


def _splitrail_split(stack, server, folder):
    """It has the replicas, and splits at the default level of consistency."""
    return splitrail(stack, server, folder, "splitrail-split", _sandbox_program(server), CONNECTIONS, _replicas(server))


def splitrail(stack, server, folder, name, binary, connections, replicas):
    """One of our own before the primary and these replicas, with so many connections to each; raises when it does
    not start."""
    folder, port = os.path.join(folder, name), _free_port()
    os.makedirs(folder)
    places = [("primary", server.endpoint)] + [("replica", endpoint) for endpoint in replicas]
    servers = [
        f'  - {{name: db{index}, address: "{host}:{at}", role: {role}}}' for index, (role, (host, at)) in enumerate(places)
    ]
    path = os.path.join(folder, "proxy.yaml")
    text = SPLITRAIL.format(
        port=port,
        servers="\n".join(servers),
        user=server.user,
        password=server.password,
        connections=connections,
        from_primary="never" if replicas else "fallback",
        workers=WORKERS,
    )
    _write(path, text)
    target = _ready(stack, name, [binary, "run", "-c", path], folder, port, _version([binary, "--version"]))

    def all_up():
        shown = wire.run(target.endpoint, server.user, server.password, "SHOW SPLITRAIL STATUS")
        return all(row[2] == "up" for row in shown)

    process.wait_until(all_up, target.child, 20, name)
    return target


def _router_split(stack, server, folder):
    """Router's read-write splitting port asks an InnoDB Cluster who is who, and there is none: its read-only
    port in front of the two replicas stands in for it."""
    replicas = ",".join(f"{host}:{at}" for host, at in _replicas(server))
    return _router(stack, server, folder, False, "router-split", replicas, "round-robin")


def _replicas(server):
    if not server.replicas:
        raise RuntimeError("there are no replicas: ask for split targets alone, or attach a sandbox with replicas")
    return server.replicas


def _router(stack, server, folder, sharing, name=None, destinations=None, strategy="first-available"):
    name = name or ("router-sharing" if sharing else "router")
    command, plugins = _router_program()
    if sharing:
        _self_signed(folder)
    port, (host, server_port) = _free_port(), server.endpoint
    destinations = destinations or f"{host}:{server_port}"
    text = ROUTER.format(
        plugins=plugins,
        folder=folder,
        workers=WORKERS,
        pool=64 if sharing else 0,
        port=port,
        destinations=destinations,
        strategy=strategy,
        sharing=int(sharing),
        tls=(ROUTER_KEYED if sharing else ROUTER_PLAIN).format(folder=folder),
    )
    path = os.path.join(folder, "router.conf")
    _write(path, text)
    return _ready(stack, name, [*command, "-c", path], folder, port, _version([*command, "--version"]))


def _router_program():
    """MySQL Router as scripts/servers.sh unpacked it, or as installed, and its plugins.

    The unpacked one runs under its own loader, which must also find what the plugins link to.
    """
    root = os.path.abspath(os.path.join(os.environ.get("SPLITRAIL_SERVERS", "target/servers"), "mysql/root"))
    binary, loaders = f"{root}/usr/bin/mysqlrouter", glob.glob(f"{root}/usr/lib/**/ld-linux*.so*", recursive=True)
    if os.access(binary, os.X_OK) and loaders:
        libraries = glob.glob(f"{root}/usr/lib/**/lib*.so*", recursive=True)
        folders = ":".join(sorted({os.path.dirname(library) for library in libraries}))
        command = [loaders[0], "--library-path", folders, binary]
    else:
        root, command = "", [_installed("mysqlrouter", "/usr/bin/mysqlrouter")]
    found = glob.glob(f"{root}/usr/lib/**/mysqlrouter/**/routing.so", recursive=True)
    if not found:
        raise RuntimeError("mysqlrouter has no routing plugin beside it")
    return command, os.path.dirname(found[0])


def _self_signed(folder):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=compare"]
        + ["-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem"],
        check=True,
        stderr=subprocess.DEVNULL,
    )


def _ready(stack, name, command, folder, port, version):
    """The target once its port answers; its own last words are the reason when it does not."""
    path = os.path.join(folder, f"{name}.log")
    with open(path, "w") as log:
        child = process.spawn(command, cwd=folder, stdout=log, stderr=log)
    stack.callback(process.stop, child)
    try:
        process.wait_until(lambda: _accepts(port), child, 20, name)
    except RuntimeError as error:
        with open(path, errors="replace") as log:
            last_words = [line for line in log.read().splitlines() if re.search("error|alert", line, re.IGNORECASE)]
        raise RuntimeError(": ".join([str(error), *last_words[:1]])) from error
    return Target(name, ("127.0.0.1", port), child.pid, version, child=child)


def _accepts(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _installed(name, usual):
    for folder in [*os.environ.get("PATH", "").split(":"), os.path.dirname(usual)]:
        if os.access(os.path.join(folder, name), os.X_OK):
            return os.path.join(folder, name)
    raise RuntimeError(f"{name} is not installed")


def _version(command):
    output = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False).stdout
    found = re.search(r"\d+\.\d+\.\d+", output)
    return found.group(0) if found else "?"


def _write(path, text):
    with open(path, "w") as file:
        file.write(text)


STARTERS = {
    "direct": _direct,
    "haproxy": _haproxy,
    # HAProxy beside itself: what its ratios stray from 1 by is the noise of the run.
    "haproxy-again": lambda *where: _haproxy(*where, name="haproxy-again"),
    "router": lambda *where: _router(*where, sharing=False),
    "router-sharing": lambda *where: _router(*where, sharing=True),
    "splitrail": _splitrail,
    "haproxy-split": _haproxy_split,
    "router-split": _router_split,
    "splitrail-split": _splitrail_split,
}
