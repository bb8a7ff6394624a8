"""Keeps results as JSON and prints what differs between direct and through the proxy."""

import json

from . import place
from .supervise import PASS


def path(flavour, suite, side):
    folder = place.RESULTS / flavour
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{suite}.{side}.json"


def save(flavour, suite, side, record):
    path(flavour, suite, side).write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")


def load(flavour, suite, side):
    """A result kept earlier, or None."""
    place_of_it = path(flavour, suite, side)
    return json.loads(place_of_it.read_text()) if place_of_it.exists() else None


def passes(record):
    """The names of the tests that passed, or None for a run that never was."""
    if record is None:
        return None
    return {name for name, status in record["results"].items() if status == PASS}


class Row:
    """One suite on one flavour: what passes on each side and what that means."""

    def __init__(self, flavour, suite):
        self.flavour = flavour
        self.suite = suite
        self.direct = load(flavour, suite, "direct")
        self.proxy = load(flavour, suite, "proxy")
        direct, proxy = passes(self.direct), passes(self.proxy)
        both = direct is not None and proxy is not None
        self.lost = sorted(direct - proxy) if both else []
        self.gained = sorted(proxy - direct) if both else []
        self.tests = max(len((side or {"results": {}})["results"]) for side in (self.direct, self.proxy))

    def exists(self):
        return self.direct is not None or self.proxy is not None

    def cells(self):
        def count(record):
            return "-" if record is None else str(len(passes(record)))

        both = self.direct is not None and self.proxy is not None
        version = (self.direct or self.proxy or {}).get("version", "")
        lost = str(len(self.lost)) if both else "-"
        gained = str(len(self.gained)) if both else "-"
        return [self.suite, version, str(self.tests), count(self.direct), count(self.proxy), lost, gained]


HEAD = ["suite", "server", "tests", "direct", "proxy", "lost", "gained"]


def table(rows, markdown=False):
    """The rows as text, in columns or in Markdown."""
    lines = [HEAD, *(row.cells() for row in rows)]
    if markdown:
        text = ["| " + " | ".join(line) + " |" for line in lines]
        text.insert(1, "|---|---|" + "---:|" * (len(HEAD) - 2))
        return "\n".join(text)
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def differences(rows):
    """The names of the tests that pass direct and not through the proxy, with the first line of why."""
    text = []
    for row in rows:
        for name in row.lost:
            status = row.proxy["results"].get(name, "not run")
            why = headline(row.proxy["reasons"].get(name, ""))
            text.append(f"{row.flavour} {row.suite}: {name}: {status}{': ' + why if why else ''}")
    return "\n".join(text)


def headline(why):
    """The line of a reason that says most: pytest marks it, Python's own tracebacks end with it."""
    lines = [line.strip() for line in why.splitlines() if line.strip()]
    marked = [line[1:].strip() for line in lines if line.startswith("E ")]
    return (marked or lines[::-1] or [""])[0][:400]
