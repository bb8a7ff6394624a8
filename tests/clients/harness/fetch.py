"""Fetches what the suites need: sources from the package registries, each by its own client.

Every function is idempotent: a marker file tells that the step was done, so that a second run
touches no network.
"""

import os
import pathlib
import re
import shutil
import sys
import tarfile

from . import place, shell

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
NETWORK = 900


def mirror():
    """The Debian mirror that the system's own apt sources name."""
    folder = pathlib.Path("/etc/apt")
    for source in [folder / "sources.list", *sorted(folder.glob("sources.list.d/*"))]:
        text = source.read_text() if source.is_file() else ""
        for line in text.splitlines():
            found = re.match(r"(?:URIs:|deb(?:-src)?(?:\s+\[[^]]*\])?)\s+(\S+/debian/?)(?:\s|$)", line)
            if found:
                return found.group(1)
    raise SystemExit("clients: the apt sources of this system name no Debian mirror")


def once(folder, name, action):
    """Runs `action` unless it was done before in `folder`; the marker carries the step's name."""
    marker = folder / f".done-{name}"
    if not marker.exists():
        action()
        marker.touch()


def unpack(archive, folder):
    """Unpacks a tar archive and gives the one folder in it."""
    with tarfile.open(archive) as tar:
        top = tar.getnames()[0].split("/")[0]
        if (folder / top).exists():
            shutil.rmtree(folder / top)
        tar.extractall(folder)
    return folder / top


def venv(suite, requirements, sources=(), extra=None):
    """A virtual environment for `suite` with `requirements`; gives its python."""
    folder = place.work(suite)
    python = folder / "venv" / "bin" / "python"
    log = place.log(f"{suite}.build")

    def make():
        shell.must([sys.executable, "-m", "venv", "--clear", folder / "venv"], log, 120)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        shell.must([*pip, *requirements], log, NETWORK, extra=extra)
        if sources:
            shell.must([*pip, "--no-deps", *sources], log, NETWORK, extra=extra)

    once(folder, "venv", make)
    return python


def sdist(suite, requirement, extra=None):
    """The unpacked source distribution of a Python package."""
    folder = place.work(suite)
    log = place.log(f"{suite}.build")
    place.DOWNLOADS.mkdir(parents=True, exist_ok=True)
    wanted = requirement.replace("==", "-").replace("-", "_").lower()

    def archive():
        for path in sorted(place.DOWNLOADS.glob("*.tar.gz")):
            if path.name.replace("-", "_").lower() == f"{wanted}.tar.gz":
                return path
        return None

    if archive() is None:
        shell.must(
            [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:",
             "-d", place.DOWNLOADS, requirement],
            log, NETWORK, extra=extra,
        )  # fmt: skip
    found = archive()
    if found is None:
        raise shell.Failed(f"no source distribution of {requirement} in {place.DOWNLOADS}")
    top = folder / found.name.removesuffix(".tar.gz")
    once(folder, f"unpacked-{found.name}", lambda: unpack(found, folder))
    return top


def sid():
    """An apt configuration with Debian sid's lists and nothing of this machine's; gives its environment."""
    root = place.ROOT / "apt"
    log = place.log("apt")

    def make():
        shell.need("apt-get=apt", "dpkg-source=dpkg-dev")
        if not os.path.exists(KEYRING):
            raise shell.Missing("Debian's keys are needed: install debian-archive-keyring")
        for part in ("state/lists/partial", "cache/archives/partial", "etc"):
            (root / part).mkdir(parents=True, exist_ok=True)
        (root / "state/status").touch()
        lines = [f"{kind} [signed-by={KEYRING}] {mirror()} sid main" for kind in ("deb", "deb-src")]
        (root / "etc/sources.list").write_text("\n".join(lines) + "\n")
        settings = {
            "Dir::State": root / "state",
            "Dir::State::status": root / "state/status",
            "Dir::Cache": root / "cache",
            "Dir::Etc::sourcelist": root / "etc/sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "APT::Sandbox::User": "",
            "Acquire::Languages": "none",
        }
        text = "".join(f'{key} "{value}";\n' for key, value in settings.items())
        (root / "apt.conf").write_text(text)
        shell.must(["apt-get", "update"], log, NETWORK, extra={"APT_CONFIG": root / "apt.conf"})

    root.mkdir(parents=True, exist_ok=True)
    once(root, "lists", make)
    return {"APT_CONFIG": root / "apt.conf"}


def debian_source(suite, package):
    """The unpacked source package `package` of Debian sid, without Debian's patches built in."""
    folder = place.work(suite)
    log = place.log(f"{suite}.build")

    def make():
        shell.must(["apt-get", "source", "--download-only", package], log, NETWORK, folder=folder, extra=sid())
        description = sorted(folder.glob("*.dsc"))[-1]
        shutil.rmtree(folder / "source", ignore_errors=True)
        shell.must(["dpkg-source", "--extract", description, folder / "source"], log, 300)

    once(folder, f"source-{package}", make)
    return folder / "source"


def debian_binary(suite, *packages):
    """Debian sid's binary packages unpacked side by side; gives the folder that stands for `/`."""
    folder = place.work(suite)
    root = folder / "root"
    log = place.log(f"{suite}.build")

    def make():
        archives = folder / "archives"
        archives.mkdir(exist_ok=True)
        shell.must(["apt-get", "download", *packages], log, NETWORK, folder=archives, extra=sid())
        for archive in sorted(archives.glob("*.deb")):
            shell.must(["dpkg-deb", "--extract", archive, root], log, 300)
        shutil.rmtree(archives)

    once(folder, "root-" + "-".join(packages)[:80], make)
    return root
