"""What splitrail is compared with the server itself for: more reads with more replicas, and no fewer queries
when two thousand busy clients share fifty connections to each server.

A trial is one load and several ways to run it, each with clients of its own number. Ratios are taken within
a round, as those to HAProxy are.
"""

import os
import statistics
from dataclasses import dataclass, field, replace

import loads
import process
import targets

HERE = os.path.dirname(os.path.abspath(__file__))
# Each server takes so many reads at a time, and each of them waits so long: 800 reads/s at most.
HELD_CONNECTIONS, HELD_SECONDS = 8, 0.01
REPLICAS = [1, 2, 4]
LEAST_SCALING = 0.95
BUSY_CLIENTS, BUSY_CONNECTIONS, BUSY_REPLICAS = 2000, 50, 2
# Two thousand clients take a second until all of them are at work.
BUSY_SECONDS = 8

HELD = loads.Load("held-select", os.path.join(HERE, "held.lua"), "text", (f"--held={HELD_SECONDS}",))


@dataclass(frozen=True)
class Way:
    """One way to run a trial's load; `wanted` is the least multiple of the first way's queries per second."""

    name: str
    target: targets.Target
    clients: int
    wanted: float | None = None


@dataclass
class Trial:
    title: str
    words: str
    load: loads.Load
    ways: list
    seconds: float | None = None
    cells: dict = field(default_factory=dict)

    def measure(self, server, options, in_turn, say):
        for turn in range(options.rounds):
            for way in in_turn(self.ways, turn):
                try:
                    outcome = loads.run(server, way.target, self.load, way.clients, self.seconds or options.seconds)
                    shown = f"{outcome.rate:,.0f}/s"
                except loads.RunFailed as error:
                    outcome = shown = str(error)
                say(f"{self.load.key}, {way.clients} clients, round {turn + 1}: {way.name} {shown}")
                self.cells.setdefault(way.name, []).append(outcome)

    def failures(self):
        for name, rounds in self.cells.items():
            reasons = [outcome for outcome in rounds if isinstance(outcome, str)]
            if reasons:
                yield f"{name}, {self.load.key}: {len(reasons)} of {len(rounds)} runs failed: {reasons[0]}"

    def markdown(self, table):
        head = ["way", "clients", "queries/s", "x the first", "wanted", "p99 ms", "CPU us/query"]
        rows = [self._row(way) for way in self.ways]
        return f"### {self.title}\n\n{self.words}\n\n{table(head, rows)}"

    def _row(self, way):
        good = [outcome for outcome in self.cells.get(way.name, []) if not isinstance(outcome, str)]
        wanted = "-" if way.wanted is None else f"{way.wanted:.2f}"
        if not good:
            return [way.name, str(way.clients), "**FAILED**", "-", wanted, "-", "-"]
        rate, p99 = (statistics.median(getattr(outcome, what) for outcome in good) for what in ("rate", "p99"))
        cpu = statistics.median(outcome.cpu for outcome in good) if way.target.pid else None
        ratio = self._ratio(way)
        shown = "-" if ratio is None else f"{ratio:.2f}"
        if ratio is not None and way.wanted is not None and ratio < way.wanted:
            shown = f"**{shown}**"
        return [way.name, f"{way.clients:,}", f"{rate:,.0f}", shown, wanted, f"{p99:.2f}", "-" if cpu is None else f"{cpu:.1f}"]

    def _ratio(self, way):
        pairs = zip(self.cells.get(way.name, []), self.cells.get(self.ways[0].name, []))
        ratios = [mine.rate / first.rate for mine, first in pairs if not isinstance(mine, str) and not isinstance(first, str)]
        return statistics.median(ratios) if ratios else None


def scaling(stack, server, folder, binary):
    """Reads over one, two and four replicas that are held to a fixed rate each."""
    replicas = server.replicas[: max(REPLICAS)]
    direct = targets.Target("direct", replicas[0], version=f"{server.flavour} {server.version}")
    ways = [Way("one replica, direct", direct, HELD_CONNECTIONS)]
    for count in REPLICAS:
        settings = {"connections": HELD_CONNECTIONS, "replicas": replicas[:count]}
        target = targets.splitrail(stack, server, folder, f"splitrail-{count}", binary, **settings)
        name = f"splitrail, {count} replica{'s' * (count > 1)}"
        ways.append(Way(name, target, HELD_CONNECTIONS * count, LEAST_SCALING * count))
    words = (
        f"A replica takes {HELD_CONNECTIONS} reads at a time, and each takes it {HELD_SECONDS * 1000:.0f} ms more than it needs "
        f"(`SLEEP`), so that one replica is worth {HELD_CONNECTIONS / HELD_SECONDS:,.0f} reads/s at most whatever the machine "
        f"does. {HELD_CONNECTIONS} clients for each replica; the primary serves none. What misses is bold."
    )
    return [Trial("Reads over more replicas", words, HELD, ways)]


def busy(stack, server, folder, binary):
    """Many clients that never rest, on few connections to each server."""
    direct = targets.Target("direct", server.endpoint, version=f"{server.flavour} {server.version}")
    ways = [Way("direct", direct, BUSY_CONNECTIONS)]
    for count, where in [(0, "one server"), (BUSY_REPLICAS, f"each of {BUSY_REPLICAS} replicas")]:
        settings = {"connections": BUSY_CONNECTIONS, "replicas": server.replicas[:count]}
        target = targets.splitrail(stack, server, folder, f"splitrail-busy-{count}", binary, **settings)
        ways.append(Way(f"splitrail, {BUSY_CONNECTIONS} connections to {where}", target, BUSY_CLIENTS, 1.0))
    words = (
        f"Each query takes the server {HELD_SECONDS * 1000:.0f} ms more than it needs (`SLEEP`): the servers' connections are "
        f"what is scarce. Runs of {BUSY_SECONDS} s. Two thousand logins are in the CPU of a query."
    )
    starved = (
        "The cores are what is scarce here, and the proxy and two thousand client threads take their share of them, which the "
        f"server has to itself in the other row but for fifty client threads. Runs of {BUSY_SECONDS} s."
    )
    title = f"{BUSY_CLIENTS:,} busy clients"
    return [
        Trial(f"{title}: held-select", words, HELD, ways, BUSY_SECONDS),
        Trial(f"{title}: point-select", starved, loads.chosen(["point-select/text"])[0], [replace(way, wanted=None) for way in ways[:2]], BUSY_SECONDS),
    ]
