"""mysql_async (Rust): the tests inside the published crate, plain, over TLS, and compressed.

Every test runs in a process of its own, so that one that hangs costs only itself.
"""

import json
import shutil
from pathlib import Path

from harness import fetch, place, shell, supervise
from harness.supervise import FAIL, PASS

NAME = "mysql_async"
FLAVOURS = ["mysql", "mariadb"]
ORDER = 5
VERSION = "0.37.1"
USER = "mysql_async"
DATABASE = "mysql_async"
FEATURES = "default-rustls-ring,binlog,client_ed25519"
VARIANTS = {"plain": {}, "tls": {"SSL": "1"}, "compress": {"COMPRESS": "1"}}


def folder():
    return place.work(NAME)


def crate():
    """The crate's source, copied from cargo's own cache of it, which a tiny package makes cargo fill."""
    puller = folder() / "puller"
    (puller / "src").mkdir(parents=True, exist_ok=True)
    (puller / "src/lib.rs").touch()
    (puller / "Cargo.toml").write_text(
        '[package]\nname = "puller"\nversion = "0.0.0"\nedition = "2021"\n[workspace]\n'
        f'[dependencies]\nmysql_async = {{ version = "={VERSION}", default-features = false, '
        'features = ["minimal-rust"] }\n'
    )
    log = place.log(f"{NAME}.build")
    shell.must(["cargo", "fetch", "--quiet"], log, 600, folder=puller)
    code, output = shell.capture(["cargo", "metadata", "--format-version", "1"], log, 120, folder=puller)
    if code != 0:
        raise shell.Failed(f"cargo metadata failed: see {log}")
    for package in json.loads(output)["packages"]:
        if package["name"] == "mysql_async":
            return Path(package["manifest_path"]).parent
    raise shell.Failed("cargo knows no mysql_async")


def binary():
    return folder() / "tests-of-mysql_async"


def prepare():
    shell.need("cargo", "cc=build-essential")
    fetch.once(folder(), "built", build)


def build():
    source = folder() / "source"
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(crate(), source)
    # A package inside another's folder must say that it is no member of it.
    with open(source / "Cargo.toml", "a") as manifest:
        manifest.write("\n[workspace]\n")
    log = place.log(f"{NAME}.build")
    command = ["cargo", "test", "--lib", "--no-run", "--no-default-features", "--features", FEATURES,
               "--message-format", "json"]  # fmt: skip
    code, output = shell.capture(command, log, 3000, folder=source, extra={"CARGO_TARGET_DIR": folder() / "build"})
    messages = [json.loads(line) for line in output.splitlines() if line.startswith(b"{")]
    made = [message["executable"] for message in messages if message.get("executable")]
    if code != 0 or not made:
        raise shell.Failed(f"mysql_async does not build: see {log}")
    shutil.copy2(made[-1], binary())
    shutil.rmtree(folder() / "build")


def setup(run):
    run.admin.grant_all(USER)
    run.admin.database(DATABASE)


def run(run):
    end = run.endpoint
    url = f"mysql://{USER}:{run.admin.password}@{end.host}:{end.port}/{DATABASE}?prefer_socket=false"
    _, output = shell.capture([binary(), "--list"], run.log, 60)
    names = [line.removesuffix(": test") for line in output.decode().splitlines() if line.endswith(": test")]
    watch = run.watch(total=2400)
    for variant, settings in VARIANTS.items():
        extra = {"DATABASE_URL": url, "RUST_BACKTRACE": "0", **settings}
        supervise.each(
            [f"{variant}::{name}" for name in names],
            lambda name: [binary(), "--exact", "--nocapture", name.partition("::")[2]],
            lambda name, code, output: [(name, PASS if code == 0 else FAIL, "" if code == 0 else output)],
            run.log, watch, limit=90, folder=folder() / "source", extra=extra,
        )  # fmt: skip
    return watch
