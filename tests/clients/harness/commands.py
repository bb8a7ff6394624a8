"""The command line programs of MySQL and of MariaDB, each able to talk to either server.

MariaDB's are the machine's own; MySQL's are those that scripts/servers.sh unpacks beside the
build, where they are in nobody's way.
"""

import os
import shutil
from pathlib import Path

from . import place, shell

SCRIPT = place.REPOSITORY / "scripts" / "servers.sh"


def unpacked():
    """The folder with MySQL's programs and libraries."""
    return Path(os.environ.get("SPLITRAIL_SERVERS") or place.TARGET / "servers") / "mysql"


class Programs:
    """The programs of one family."""

    def __init__(self, family):
        self.family = family

    def command(self, program):
        """The command that starts `program`, one of client, dump, admin, import, show, check, slap, binlog."""
        if self.family == "mariadb":
            name = "mariadb" if program == "client" else f"mariadb-{program}"
            path = shutil.which(name)
            if path is None:
                raise shell.Missing(f"{name} is needed: install mariadb-client")
            return [path, "--no-defaults"]
        name = {"client": "mysql"}.get(program, f"mysql{program}")
        charsets = unpacked() / "root/usr/share/mysql/charsets"
        return [*self.start(name), "--no-defaults", f"--character-sets-dir={charsets}"]

    def start(self, name):
        """A program of MySQL's that has no wrapper is started by the unpacked dynamic linker."""
        wrapper = unpacked() / "bin" / name
        if wrapper.exists():
            return [wrapper]
        root = unpacked() / "root"
        linker = next(root.glob("usr/lib*/**/ld-linux*.so.*"))
        libraries = next(root.glob("usr/lib/**/libc.so.6")).parent
        return [linker, "--library-path", libraries, root / "usr/bin" / name]


def families(flavour):
    """MySQL 9's programs no longer know MariaDB's usual way to log in."""
    return ["mysql", "mariadb"] if flavour == "mysql" else ["mariadb"]


def login(end, user, password, database=None):
    """The options that lead to `end`."""
    options = ["--protocol=TCP", f"--host={end.host}", f"--port={end.port}", f"--user={user}", f"--password={password}"]
    return [*options, *([database] if database else [])]


def prepare():
    log = place.log("mysql-programs")
    if not unpacked().exists():
        shell.must([SCRIPT, "mysql"], log, 900)
    Programs("mariadb").command("client")
