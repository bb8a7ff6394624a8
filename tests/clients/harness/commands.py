"""The command line programs of MySQL and of MariaDB, each able to talk to either server.

MariaDB's are the machine's own; MySQL's come from Debian sid, unpacked beside the build and
started by their own dynamic linker, so that neither is in the other's way.
"""

import shutil

from . import fetch, place, shell

NAME = "mysql-programs"
LIBRARIES = "usr/lib/x86_64-linux-gnu"
OPTIONAL = {"perl", "debconf", "mysql-common"}


class Programs:
    """One family of programs. `mariadb` and `dump`, `admin` and so on are what differ in name."""

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
        root = root_of_mysql()
        name = {"client": "mysql"}.get(program, f"mysql{program}")
        linker = root / LIBRARIES / "ld-linux-x86-64.so.2"
        return [linker, "--library-path", root / LIBRARIES, root / "usr/bin" / name, "--no-defaults",
                f"--character-sets-dir={root / 'usr/share/mysql/charsets'}"]  # fmt: skip


def root_of_mysql():
    return fetch.debian_binary(NAME, "mysql-client-core", recursive=True, without=OPTIONAL)


def families(flavour):
    """MySQL 9's programs no longer know MariaDB's usual way to log in."""
    return ["mysql", "mariadb"] if flavour == "mysql" else ["mariadb"]


def login(end, user, password, database=None):
    """The options that lead to `end`."""
    options = ["--protocol=TCP", f"--host={end.host}", f"--port={end.port}", f"--user={user}", f"--password={password}"]
    return [*options, *([database] if database else [])]


def prepare():
    root_of_mysql()
    Programs("mariadb").command("client")
    place.log(NAME)
