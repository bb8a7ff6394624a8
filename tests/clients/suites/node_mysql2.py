"""mysql2 for Node: a broad script of our own (tests/clients/node), for the package ships no tests.

Each test also notes what it saw (rows, column definitions, headers, errors); through the proxy it
must see what it saw direct.
"""

import json
import shutil

from harness import fetch, place, shell, supervise

NAME = "node-mysql2"
FLAVOURS = ["mysql", "mariadb"]
ORDER = 3
VERSION = "3.24.5"
USER = "node"
DATABASE = "node_mysql2"
SCRIPT = place.CLIENTS / "node"


def prepare():
    shell.need("node=nodejs", "npm")
    folder = place.work(NAME)
    log = place.log(f"{NAME}.build")
    (folder / "package.json").write_text('{"private": true}\n')
    install = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", f"mysql2@{VERSION}"]
    fetch.once(folder, f"npm-{VERSION}", lambda: shell.must(install, log, 600, folder=folder))


def setup(run):
    run.admin.grant_all(USER)
    run.admin.database(DATABASE)


def run(run):
    folder = place.work(NAME)
    # Node looks for packages beside the script, so the script goes where the package is.
    shutil.rmtree(folder / "script", ignore_errors=True)
    shutil.copytree(SCRIPT, folder / "script")
    observed = {side: place.RESULTS / run.flavour / f"{NAME}.{side}.observed.json" for side in ("direct", "proxy")}
    observed[run.side].parent.mkdir(parents=True, exist_ok=True)
    observed[run.side].unlink(missing_ok=True)
    end = run.endpoint
    settings = {"host": end.host, "port": end.port, "user": USER, "password": run.admin.password,
                "database": DATABASE, "flavour": run.flavour, "observed": str(observed[run.side]),
                "expected": str(observed["direct"]) if run.side == "proxy" else None}  # fmt: skip
    watch = run.watch(silence=70, total=1500)
    extra = {"CLIENTS_SETTINGS": json.dumps(settings), "TZ": "UTC"}
    supervise.supervise(["node", folder / "script" / "runner.js"], run.log, watch, folder=folder, extra=extra)
    return watch
