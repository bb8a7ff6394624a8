"""Figures turned into Markdown: medians over the rounds, and ratios to HAProxy.

A ratio is taken within each round, between runs that lie seconds apart, and the median of those
ratios is shown: a machine that slows down half-way then hurts every target alike.
"""

import os
import platform
import statistics

# What each target is compared with: among those that split reads, the one of HAProxy's.
BASE, SPLIT = "haproxy", "-split"
MOST_CPU, LEAST_RATE, MOST_IDLE_KIB = 1.10, 0.97, 10


class Results:
    """All that was measured; `cells[load][threads][target]` is a list with a Figures, or the
    reason for its absence, per round."""

    def __init__(self, targets, options, server, trials=()):
        self.targets, self.options, self.server, self.trials = targets, options, server, trials
        self.cells, self.idle, self.syscalls = {}, {}, {}

    def add(self, load, threads, target, outcome):
        cell = self.cells.setdefault(load.key, {}).setdefault(threads, {})
        cell.setdefault(target.name, []).append(outcome)

    def failures(self):
        """Every target and run that gave no figure, in words."""
        found = [f"{target.name} {target.failure}" for target in self.targets if target.failure]
        for key, by_threads in self.cells.items():
            for threads, cell in by_threads.items():
                for name, rounds in cell.items():
                    reasons = [outcome for outcome in rounds if isinstance(outcome, str)]
                    if reasons:
                        where = f"{name}, {key}, {threads} threads"
                        found.append(f"{where}: {len(reasons)} of {len(rounds)} runs failed: {reasons[0]}")
        found += [failure for trial in self.trials for failure in trial.failures()]
        for name, counts in self.idle.items():
            found += [f"{name}, {count} idle clients: {kib}" for count, kib in counts.items() if isinstance(kib, str)]
        found += [f"{name}, system calls: {calls}" for name, calls in self.syscalls.items() if isinstance(calls, str)]
        return found


def markdown(results):
    parts = [_conditions(results), _failures(results), _summary(results), _idle(results), _syscalls(results)]
    parts += [_load(results, key, cell) for key, cell in results.cells.items()]
    parts += [trial.markdown(_table) for trial in results.trials]
    return "\n\n".join(part for part in parts if part) + "\n"


def write(path, text, part="figures"):
    """Puts the text between the file's markers of that part; a file without them becomes the text."""
    page, begin, end = "", f"<!-- {part}: begin -->", f"<!-- {part}: end -->"
    if os.path.exists(path):
        with open(path) as file:
            page = file.read()
    if begin in page and end in page:
        head, rest = page.split(begin, 1)
        text = f"{head}{begin}\n\n{text}\n{end}{rest.split(end, 1)[1]}"
    with open(path, "w") as file:
        file.write(text)


def _conditions(results):
    options, server = results.options, results.server
    ways = [way.target for trial in results.trials for way in trial.ways]
    versions = {f"{target.name} {target.version}": None for target in [*results.targets, *ways] if target.version and target.pid}
    return (
        f"{server.flavour} {server.version}; {', '.join(versions)}. "
        f"{os.cpu_count()} cores ({_processor()}), Linux {platform.release()}. "
        f"{options.rounds} rounds of {options.seconds} s per figure"
        + (f"; one of {', '.join(once)}." if (once := _once(results)) else ".")
    )


def _once(results):
    return [target.name for target in results.targets if target.name in results.options.context]


def _failures(results):
    lines = [f"- **FAILED**: {_cell(reason)}" for reason in results.failures()]
    return "\n".join(lines)


def _summary(results):
    """splitrail against HAProxy, one row per load: the page's answer in one look."""
    if not results.cells:
        return ""
    threads = sorted({count for by_threads in results.cells.values() for count in by_threads})
    head = ["load", *(f"{what}, {count} thr." for count in threads for what in ("queries/s", "CPU/query"))]
    rows = []
    for key, by_threads in results.cells.items():
        row = [key]
        for count in threads:
            rounds = by_threads.get(count, {})
            name = f"splitrail{SPLIT}" if f"splitrail{SPLIT}" in rounds else "splitrail"
            rate, cpu = _ratio(rounds, name, "rate"), _ratio(rounds, name, "cpu")
            row += [_judged(rate, rate and rate >= LEAST_RATE), _judged(cpu, cpu and cpu <= MOST_CPU)]
        rows.append(row)
    words = (
        f"splitrail as a multiple of HAProxy; wanted: queries/s at least {LEAST_RATE}, "
        f"CPU per query at most {MOST_CPU:.2f}. What misses is bold."
    )
    return f"### splitrail beside HAProxy\n\n{words}\n\n{_table(head, rows)}"


def _load(results, key, by_threads):
    head = ["threads", "target", "queries/s", "x HAProxy", "p99 ms", "CPU us/query", "x HAProxy", "RSS MiB"]
    rows = []
    for count, cell in sorted(by_threads.items()):
        for target in results.targets:
            if target.failure or target.name in cell:
                rows.append([str(count), target.name, *_row(target, cell)])
    return f"### {key}\n\n{_table(head, rows)}"


def _row(target, cell):
    figures, tried = _good(cell, target.name), cell.get(target.name, [])
    if not figures:
        return ["**FAILED**" if tried or target.failure else "not run", *[""] * 5]
    rate, p99 = _median(figures, "rate"), _median(figures, "p99")
    missing = f" (**{len(tried) - len(figures)} of {len(tried)} FAILED**)" if len(figures) < len(tried) else ""
    row = [f"{rate:,.0f}{missing}", _times(_ratio(cell, target.name, "rate")), f"{p99:.2f}"]
    if target.pid is None:
        return [*row, "-", "-", "-"]
    cpu, rss = _median(figures, "cpu"), _median(figures, "rss")
    return [*row, f"{cpu:.1f}", _times(_ratio(cell, target.name, "cpu")), f"{rss / 1024:.1f}"]


def _idle(results):
    if not results.idle:
        return ""
    counts = sorted({count for row in results.idle.values() for count in row})
    rows = [
        [name, *(_number(row.get(count)) for count in counts)]
        for name, row in results.idle.items()
    ]
    words = f"KiB of the proxy's memory for each client that has run one statement and waits; wanted: at most {MOST_IDLE_KIB}."
    return f"### Idle clients\n\n{words}\n\n{_table(['target', *(f'{count:,} clients' for count in counts)], rows)}"


def _syscalls(results):
    counted = {name: calls for name, calls in results.syscalls.items() if isinstance(calls, dict)}
    if not results.syscalls:
        return ""
    most = {call: max(calls.get(call, 0) for calls in counted.values()) for calls in counted.values() for call in calls}
    names = [call for call, _ in sorted(most.items(), key=lambda item: -item[1]) if most[call] >= 0.005]
    rows = [[name, *(f"{calls.get(call, 0):.2f}" for call in names), f"{sum(calls.values()):.2f}"] for name, calls in counted.items()]
    rows += [[name, "**FAILED**"] + [""] * len(names) for name in results.syscalls if name not in counted]
    return f"### System calls per query\n\npoint-select/text, {results.options.syscall_threads} threads, under strace.\n\n{_table(['target', *names, 'all'], rows)}"


def _good(cell, name):
    return [outcome for outcome in cell.get(name, []) if not isinstance(outcome, str)]


def _median(figures, what):
    return statistics.median(getattr(figure, what) for figure in figures)


def _ratio(cell, name, what):
    """The median of the rounds' ratios to HAProxy, over rounds in which both ran."""
    ratios = []
    base_name = BASE + SPLIT if name.endswith(SPLIT) else BASE
    for mine, base in zip(cell.get(name, []), cell.get(base_name, [])):
        if isinstance(mine, str) or isinstance(base, str):
            continue
        above, below = getattr(mine, what), getattr(base, what)
        if above is not None and below:
            ratios.append(above / below)
    return statistics.median(ratios) if ratios else None


def _judged(ratio, good):
    return "-" if ratio is None else _times(ratio) if good else f"**{_times(ratio)}**"


def _times(ratio):
    return "-" if ratio is None else f"{ratio:.2f}"


def _number(value):
    return "-" if value is None else "**FAILED**" if isinstance(value, str) else f"{value:.1f}"


def _cell(text):
    return " ".join(text.replace("|", "/").split())


def _table(head, rows):
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _processor():
    with open("/proc/cpuinfo") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return names[0] if names else platform.machine()
