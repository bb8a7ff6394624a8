"""go-sql-driver/mysql (Go): the suite of Debian's source package, each test in its own process.

The driver wants a newer Go than most distributions have, so Go itself comes from Debian sid,
unpacked beside the build; the one library it needs comes from there too, so no module proxy is
asked.
"""

import re
import shutil

from harness import fetch, place, shell, supervise
from harness.supervise import FAIL, PASS, SKIP, CRASH

NAME = "go-sql-driver"
FLAVOURS = ["mysql", "mariadb"]
ORDER = 4
USER = "gotest"
DATABASE = "gotest"
GO = "1.26"
LIBRARY = "filippo.io/edwards25519"
LINE = re.compile(r"^\s*--- (PASS|FAIL|SKIP): (\S+) \(")
STATUS = {"PASS": PASS, "FAIL": FAIL, "SKIP": SKIP}


def folder():
    return place.work(NAME)


def binary():
    return folder() / "driver.test"


def go_environment(root):
    """Go's tools from the unpacked packages, with caches of their own and no network."""
    home = root / "usr/lib" / f"go-{GO}"
    caches = {"GOPATH": folder() / "gopath", "GOCACHE": folder() / "gocache"}
    return {"GOROOT": home, "GOPROXY": "off", "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local",
            "GONOSUMDB": "*", "GOSUMDB": "off", "CGO_ENABLED": "0", **caches}  # fmt: skip


def prepare():
    root = fetch.debian_binary(NAME, f"golang-{GO}-go", f"golang-{GO}-src", "golang-filippo-edwards25519-dev")
    source = fetch.debian_source(NAME, "golang-github-go-sql-driver-mysql")
    log = place.log(f"{NAME}.build")
    go = root / "usr/lib" / f"go-{GO}" / "bin" / "go"

    def build():
        # A module that replaces another must be a folder with a go.mod, which is what Debian ships.
        library = root / "usr/share/gocode/src" / LIBRARY
        extra = go_environment(root)
        shell.must([go, "mod", "edit", f"-replace={LIBRARY}={library}"], log, 60, folder=source, extra=extra)
        shell.must([go, "test", "-c", "-o", binary(), "."], log, 900, folder=source, extra=extra)
        shutil.rmtree(folder() / "gocache", ignore_errors=True)

    fetch.once(folder(), "built", build)


def setup(run):
    run.admin.grant_all(USER)
    run.admin.database(DATABASE)


def parse(name, code, output):
    """Every test and subtest has its own line; a process that died has none for the test itself."""
    found = [match for match in map(LINE.match, output.splitlines()) if match]
    for match in found:
        status = STATUS[match[1]]
        yield match[2], status, output if status == FAIL else ""
    if name not in {match[2] for match in found}:
        yield name, CRASH, output


def run(run):
    source = fetch.debian_source(NAME, "golang-github-go-sql-driver-mysql")
    end = run.endpoint
    extra = {
        "MYSQL_TEST_USER": USER,
        "MYSQL_TEST_PASS": run.admin.password,
        "MYSQL_TEST_ADDR": f"{end.host}:{end.port}",
        "MYSQL_TEST_DBNAME": DATABASE,
        "MYSQL_TEST_CONCURRENT": "1",
    }
    _, output = shell.capture([binary(), "-test.list", "."], run.log, 60, folder=source, extra=extra)
    names = [line for line in output.decode().splitlines() if line.startswith(("Test", "Fuzz", "Example"))]
    watch = run.watch(total=1800)
    supervise.each(
        names,
        lambda name: [binary(), "-test.v", "-test.run", f"^{name}$"],
        parse, run.log, watch, limit=90, folder=source, extra=extra,
    )  # fmt: skip
    return watch
