"""Kills processes of clusters in random orders, and looks at what comes of it.

``python tests/campaigns/kill_orders.py --orders 200 --seed 1 --output docs/kill-orders.md``: each order
launches a cluster, kills some of its processes, the launcher among them, at random moments, and demands that
the run completes (started again by hand where the launcher was killed), and that no process is left.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from clusters import LEFT_SECS, SHAPES, complete, launch, nobody_left, processes
from results import Results


@dataclass
class Order:
    """What was killed, and what came of it."""

    number: int
    shape: str
    kills: list[str] = field(default_factory=list)
    secs: float = 0.0
    fault: str = ""


def carry_out(number: int, seed: int) -> Order:
    """Makes one order."""
    choice = random.Random(f"{seed} {number}")
    order = Order(number, list(SHAPES)[number % len(SHAPES)])
    place = Path(tempfile.mkdtemp(prefix="expcore-kills-"))
    log = place.with_suffix(".log")
    began = time.monotonic()
    running = launch(order.shape, place, log)
    try:
        for _ in range(choice.randint(1, 3)):
            if _wait(running, choice.uniform(1, 25)):
                break
            there = processes(place)
            victim = choice.choice(sorted(there) or ["nobody"])
            if victim == "nobody":
                continue
            order.kills.append(f"{victim} after {time.monotonic() - began:.0f} s")
            os.kill(there[victim], signal.SIGKILL)
            if victim == "launcher":
                running.wait()
                if not nobody_left(place, LEFT_SECS):
                    raise AssertionError(f"left after the launcher: {sorted(processes(place))}")
                running = launch(order.shape, place, log)
        complete(running, place)
    except (AssertionError, subprocess.TimeoutExpired) as fault:
        order.fault = f"{fault}; log {log}"
        for pid in processes(place).values():
            os.kill(pid, signal.SIGKILL)
    else:
        shutil.rmtree(place, ignore_errors=True)
        log.unlink()
    order.secs = time.monotonic() - began
    return order


def _wait(running: subprocess.Popen[bytes], secs: float) -> bool:
    """Waits some time; returns whether the cluster has ended meanwhile."""
    try:
        running.wait(secs)
    except subprocess.TimeoutExpired:
        return False
    return True


def page(orders: list[Order], command: str, remark: str) -> str:
    """What came of all orders, for people."""
    kills = Counter(k.partition(" after")[0] for o in orders for k in o.kills)
    secs = sorted(o.secs for o in orders)
    lines = [
        "# Kill orders",
        "",
        "Processes of clusters, the launcher among them, were killed (SIGKILL) at random. Each run had",
        "to complete, with its last checkpoint evaluated and exported, and no process left 30 seconds later.",
        "",
        "```console",
        f"$ {command}",
        "```",
        "",
        *([remark, ""] if remark else []),
        "| | |",
        "|---|---|",
        f"| orders | {len(orders)} |",
        f"| completed, nobody left | {sum(not o.fault for o in orders)} |",
        f"| processes killed | {sum(kills.values())} |",
        f"| longest, median | {secs[-1]:.0f} s, {secs[len(secs) // 2]:.0f} s |",
        "",
        "| killed | times |",
        "|---|---|",
        *(f"| {name} | {n} |" for name, n in sorted(kills.items())),
        "",
    ]
    faults = [f"- order {o.number}, {o.shape}: {', '.join(o.kills)}: {o.fault}" for o in orders if o.fault]
    return "\n".join([*lines, *(["What failed:", "", *faults, ""] if faults else [])])


def main() -> int:
    """Carries the orders out and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=200)
    parser.add_argument("--results", type=Path, help="file to which each order is added; it goes on from it")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--part", default="0/1", help="K/N: every N-th order from K on, beside other parts")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--remark", default="", help="a line of the page")
    given = parser.parse_args()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    results = Results(Order, given.results)
    part, parts = map(int, given.part.split("/"))
    for number in sorted(set(range(part, given.orders, parts)) - {o.number for o in results.all}):
        last = carry_out(number, given.seed)
        results.add(last)
        print(
            f"{number}: {last.shape}: {', '.join(last.kills)}: {last.fault or 'well'} ({last.secs:.0f} s)",
            flush=True,
        )
    if given.output:
        command = f"python tests/campaigns/kill_orders.py --orders {given.orders} --seed {given.seed}"
        given.output.write_text(page(results.all, command, given.remark))
    return any(o.fault for o in results.all)


if __name__ == "__main__":
    sys.exit(main())
