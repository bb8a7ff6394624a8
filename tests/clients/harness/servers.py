"""The server and the proxy that a suite talks to, and the clean slate before each run.

All administration goes to the server directly, so that what is measured is only what the suite
itself sends through the proxy.
"""

import dataclasses
import json
import select
import subprocess
import sys
import time

from . import place, shell

DRIVER = "PyMySQL==1.1.2"
PASSWORD = "Cl1ents-Suite"
SYSTEM = {"mysql", "information_schema", "performance_schema", "sys"}
START_LIMIT = 180
# The suites were written for one server: what one of their sessions has written, another one reads at once.
CONSISTENCY = "consistency: {level: proxy}\n"


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """Where a suite connects, and as whom."""

    host: str
    port: int
    user: str
    password: str
    socket: str | None = None


@dataclasses.dataclass
class Pair:
    """A primary of a flavour and the proxy before it; `process` is set when we started them.

    `replicas` are the servers that the proxy may send reads to: what the harness sets it sets there too.
    """

    flavour: str
    direct: Endpoint
    proxy: Endpoint | None
    process: subprocess.Popen | None = None
    replicas: tuple[Endpoint, ...] = ()

    def close(self):
        if self.process is not None:
            shell.end(self.process, grace=30)


def binary():
    """The proxy's own executable, the newest of those built."""
    built = [place.TARGET / kind / "splitrail" for kind in ("release", "debug")]
    found = [path for path in built if path.exists()]
    if not found:
        raise shell.Missing("splitrail is not built: run `cargo build --release` first")
    return max(found, key=lambda path: path.stat().st_mtime)


def sandbox(flavour, replicas):
    """Starts a primary, its replicas and a proxy by `splitrail sandbox`; gives the pair once both answer."""
    log = open(place.log(f"sandbox.{flavour}"), "ab")
    more = place.work("proxy") / "proxy.yaml"
    more.write_text(CONSISTENCY)
    command = [binary(), "sandbox", "--flavour", flavour, "--replicas", str(replicas), "--include", more, "--json"]
    process = shell.start(command, log, stdout=subprocess.PIPE)
    try:
        ready, _, _ = select.select([process.stdout], [], [], START_LIMIT)
        line = process.stdout.readline() if ready else b""
        if not line:
            raise shell.Failed(f"the sandbox did not start: see {log.name}")
        told = json.loads(line)
    except BaseException:
        shell.end(process, grace=30)
        raise
    user, password = told["user"], told["password"]
    direct, *others = (
        Endpoint(server["host"], server["port"], user, password, server.get("socket")) for server in told["servers"]
    )
    proxy = Endpoint(told["host"], told["port"], user, password, told.get("socket"))
    return Pair(told["flavour"], direct, proxy, process, tuple(others))


class Admin:
    """A connection to a server as the user who may do everything."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        self.password = PASSWORD
        self.connection = None
        self.databases = set(self.column("SHOW DATABASES")) | SYSTEM
        self.accounts = set(self.rows("SELECT user, host FROM mysql.user"))
        self.version = self.column("SELECT VERSION()")[0]
        self.mariadb = "MariaDB" in self.version
        self.prepare()
        self.globals = dict(self.rows("SHOW GLOBAL VARIABLES"))

    def connect(self):
        """Connects anew; a server that speaks TLS is spoken to in TLS, for its password plugins."""
        pymysql = driver()
        end = self.endpoint
        options = {"host": end.host, "port": end.port, "user": end.user, "password": end.password}
        options.update({"autocommit": True, "connect_timeout": 20, "read_timeout": 120})
        try:
            return pymysql.connect(**options, ssl={"check_hostname": False, "verify_mode": "none"})
        except pymysql.err.OperationalError as error:
            if error.args[0] != 2026:
                raise
            return pymysql.connect(**options)

    def rows(self, statement):
        """Runs one statement and gives its rows as tuples."""
        if self.connection is None:
            self.connection = self.connect()
        try:
            with self.connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall()
        except driver().err.InterfaceError:
            self.connection = None
            raise

    def column(self, statement):
        return [row[0] for row in self.rows(statement)]

    def run(self, *statements):
        for statement in statements:
            self.rows(statement)

    def attempt(self, statement):
        """Runs a statement whose failure does not matter; true when it went well."""
        try:
            self.rows(statement)
            return True
        except driver().err.MySQLError:
            return False

    def prepare(self):
        """Settings that some suite or other expects, on both flavours."""
        self.run("SET GLOBAL local_infile = 1")
        self.run("SET GLOBAL max_allowed_packet = 1073741824")
        self.run("SET GLOBAL max_connections = 200")
        self.attempt("SET GLOBAL log_bin_trust_function_creators = 1")
        self.attempt("SET GLOBAL max_prepared_stmt_count = 65536")
        if not self.mariadb:
            self.attempt("INSTALL COMPONENT 'file://component_query_attributes'")

    def clean(self):
        """Back to how the server was found: databases, accounts and global variables."""
        self.connection = None
        for name in set(self.column("SHOW DATABASES")) - self.databases:
            self.run(f"DROP DATABASE `{name}`")
        for user, host in set(self.rows("SELECT user, host FROM mysql.user")) - self.accounts:
            drop = "DROP USER" if not self.is_role(user, host) else "DROP ROLE"
            self.attempt(f"{drop} {account(user, host, drop)}")
        for name, value in self.rows("SHOW GLOBAL VARIABLES"):
            if self.globals.get(name, value) != value and not name.startswith(("gtid_", "innodb_")):
                self.attempt(f"SET GLOBAL `{name}` = {literal(self.globals[name])}")
        self.attempt("FLUSH PRIVILEGES")

    def is_role(self, user, host):
        if not self.mariadb:
            return False
        query = f"SELECT is_role FROM mysql.user WHERE user={quote(user)} AND host={quote(host)}"
        return self.column(query) == ["Y"]

    def grant_all(self, user, password=PASSWORD, plugin=None):
        """An account for one suite that may do everything."""
        self.attempt(f"DROP USER IF EXISTS {quote(user)}@'%'")
        how = f"IDENTIFIED BY {quote(password)}"
        if plugin:
            how = f"IDENTIFIED WITH {plugin} BY {quote(password)}"
        self.run(f"CREATE USER {quote(user)}@'%' {how}")
        self.run(f"GRANT ALL ON *.* TO {quote(user)}@'%' WITH GRANT OPTION")

    def database(self, name, options="CHARACTER SET utf8mb4"):
        """A database for one suite, empty."""
        self.run(f"DROP DATABASE IF EXISTS `{name}`", f"CREATE DATABASE `{name}` {options}")


def quote(text):
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def account(user, host, verb):
    return quote(user) if verb == "DROP ROLE" else f"{quote(user)}@{quote(host)}"


def literal(value):
    return value if value.lstrip("-").isdigit() else quote(value)


def driver():
    """PyMySQL, fetched on first use into a folder of the suites' own."""
    folder = place.ROOT / "python"
    if not (folder / "pymysql").exists():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", folder, DRIVER]
        shell.must(command, place.log("driver"), 300)
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    import pymysql

    return pymysql


def wait_until_up(endpoint, limit=60):
    """Waits until the server or proxy at `endpoint` lets us in."""
    deadline = time.monotonic() + limit
    while True:
        try:
            return Admin(endpoint)
        except driver().err.MySQLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
