"""Disturbs the network of clusters: slow, cut for a while, cut for good, and processes that stand still.

``python tests/campaigns/networks.py --rounds 5 --output docs/networks.md``. Needs ``tc``, ``ip`` and
``nsenter`` and a cluster that has a network of its own.
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
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from clusters import LEFT_SECS, SHAPES, complete, launch, nobody_left, processes
from results import Results

CUT_SECS = 10.0  # a network that comes back
ENDED_SECS = 150.0  # by which all have noticed that it does not
# A kernel without netem can limit the rate. The bucket must hold a packet of loopback, which has 64 KB.
SLOW = ["netem delay 20ms 5ms loss 0.5%", "tbf rate 4mbit burst 128kb latency 400ms"]


@dataclass
class Outcome:
    """What came of a cluster that was disturbed."""

    what: str
    shape: str
    number: int
    fault: str = ""
    secs: float = 0.0
    noticed: float | None = None


@dataclass
class Case:
    """One cluster, disturbed."""

    shape: str
    log: Path
    place: Path
    choice: random.Random
    noticed: float | None = None


def in_network(case: Case, command: str) -> bool:
    """Runs a command in the cluster's network."""
    pid = next(pid for name, pid in processes(case.place).items() if name != "launcher")
    words = ["nsenter", f"--net=/proc/{pid}/ns/net", *command.split()]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


def begun(case: Case) -> None:
    """Waits until the cluster trains, and some time more."""
    until = time.monotonic() + 120
    while not list(case.place.glob("ckpt-*.index")) and time.monotonic() < until:
        time.sleep(0.5)
    time.sleep(case.choice.uniform(0, 5))


def slow(case: Case) -> None:
    """Everything is slow from the start."""
    running = launch(case.shape, case.place, case.log)
    while not set(processes(case.place)) - {"launcher"}:
        time.sleep(0.2)
    if not any(in_network(case, f"tc qdisc add dev lo root {how}") for how in SLOW):
        raise AssertionError("this system cannot slow a network down")
    complete(running, case.place)


def cut_for_a_while(case: Case) -> None:
    """No packet gets through, and then all do again."""
    running = launch(case.shape, case.place, case.log)
    begun(case)
    network = next(pid for name, pid in processes(case.place).items() if name != "launcher")
    with open(f"/proc/{network}/ns/net") as kept:  # also if all processes in it end

        def link(state: str) -> None:
            words = ["nsenter", f"--net=/proc/{os.getpid()}/fd/{kept.fileno()}", "ip", "link", "set", "lo"]
            subprocess.run([*words, state], check=True)

        link("down")
        time.sleep(CUT_SECS)
        link("up")
    complete(running, case.place)


def cut_for_good(case: Case) -> None:
    """All end by themselves, with a code that says to start them again."""
    running = launch(case.shape, case.place, case.log, restarts=0)
    begun(case)
    in_network(case, "ip link set lo down")
    began = time.monotonic()
    code = running.wait(ENDED_SECS)
    case.noticed = time.monotonic() - began
    if code not in (69, 138):
        raise AssertionError(f"exit code {code}")
    if not nobody_left(case.place, LEFT_SECS):
        raise AssertionError(f"left: {sorted(processes(case.place))}")
    complete(launch(case.shape, case.place, case.log), case.place)


def stands_still(kind: str) -> Callable[[Case], None]:
    """A process is stopped, as a machine that hangs: it keeps its connections and answers nothing."""

    def disturb(case: Case) -> None:
        running = launch(case.shape, case.place, case.log)
        begun(case)
        there = processes(case.place)
        os.kill(there[f"{kind} 0"], signal.SIGSTOP)
        complete(running, case.place)

    return disturb


CASES: dict[str, tuple[Callable[[Case], None], list[str]]] = {
    "slow": (slow, list(SHAPES)),
    "cut for 10 s": (cut_for_a_while, list(SHAPES)),
    "cut for good, then started again": (cut_for_good, list(SHAPES)),
    "the chief stands still": (stands_still("chief"), list(SHAPES)[:1]),
    "a worker stands still": (stands_still("worker"), list(SHAPES)),
    "the parameter server stands still": (stands_still("ps"), list(SHAPES)[1:]),
}


def carry_out(what: str, shape: str, number: int) -> Outcome:
    """Disturbs one cluster."""
    place = Path(tempfile.mkdtemp(prefix="expcore-networks-"))
    case = Case(shape, place.with_suffix(".log"), place, random.Random(f"{what} {shape} {number}"))
    outcome = Outcome(what, shape, number)
    began = time.monotonic()
    try:
        CASES[what][0](case)
    except (AssertionError, StopIteration, subprocess.SubprocessError) as fault:
        outcome.fault = f"{fault}; log {case.log}"
        for pid in processes(place).values():
            os.kill(pid, signal.SIGKILL)
    else:
        shutil.rmtree(place, ignore_errors=True)
        case.log.unlink()
    outcome.secs, outcome.noticed = time.monotonic() - began, case.noticed
    return outcome


def page(cases: list[Outcome], command: str, remark: str) -> str:
    """What came of it, for people."""
    rows = []
    for what, (_, shapes) in CASES.items():
        for shape in shapes:
            found = [c for c in cases if (c.what, c.shape) == (what, shape)]
            if found:
                noticed = [f"{c.noticed:.0f}" for c in found if c.noticed is not None]
                well, longest = sum(not c.fault for c in found), max(c.secs for c in found)
                rows.append(
                    f"| {what} | {shape} | {well} of {len(found)} | {longest:.0f} s | {', '.join(noticed)} |"
                )
    faults = [f"- {c.what}, {c.shape}: {c.fault}" for c in cases if c.fault]
    return "\n".join(
        [
            "# Networks that fail",
            "",
            "Clusters on loopback, whose network was slowed down or cut, or one of whose processes was",
            "stopped (SIGSTOP). Each run had to complete, with its last checkpoint evaluated and",
            "exported, and nobody left.",
            "",
            "```console",
            f"$ {command}",
            "```",
            "",
            *([remark, ""] if remark else []),
            "| | cluster | completed | longest | until all had ended, s |",
            "|---|---|---|---|---|",
            *rows,
            "",
            *(["What failed:", "", *faults, ""] if faults else []),
        ]
    )


def main() -> int:
    """Carries all cases out and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="")
    parser.add_argument("--results", type=Path, help="file to which each case is added; it goes on from it")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--remark", default="", help="a line of the page")
    given = parser.parse_args()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    results = Results(Outcome, given.results)
    done = {(c.what, c.shape, c.number) for c in results.all}
    every = [
        (what, shape, number)
        for number in range(given.rounds)
        for what, (_, shapes) in CASES.items()
        for shape in shapes
        if given.only in what
    ]
    for one in [one for one in every if one not in done]:
        case = carry_out(*one)
        results.add(case)
        noticed = f", ended after {case.noticed:.0f} s" if case.noticed else ""
        print(f"{case.what}: {case.shape}: {case.fault or 'well'} ({case.secs:.0f} s{noticed})", flush=True)
    if given.output:
        command = f"python tests/campaigns/networks.py --rounds {given.rounds}"
        given.output.write_text(page(results.all, command, given.remark))
    return any(c.fault for c in results.all)


if __name__ == "__main__":
    sys.exit(main())
