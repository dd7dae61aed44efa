"""Turns: the rounds of a case, each peer in turn, forwards and then backwards."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing
from functools import partial

from benchmarks.bench import Bench
from benchmarks.case import Case
from benchmarks.measurement import Measurement
from benchmarks.remote import Remote, WorkerError

Units = Callable[[str], int]
"""Units of a round of a peer."""

Round = Callable[[int], float]
"""Does so many units and returns the seconds."""

_STEPS = 100  # what a number of steps is a multiple of, for fit with as many an execution
_MOST_STEPS = 5000


def take_turns(
    bench: Bench,
    case: Case,
    unit: str,
    units: Callable[[dict[str, Round]], Units],
    environments: Iterable[str] | None = None,
) -> Measurement:
    """Measures a case with every peer that has a session for it.

    Args:
        bench: the run.
        case: what is measured.
        unit: what a sample is the time of.
        units: gives the units of a round, from the peers that are ready.
        environments: where its peers are; None: in all that could be made.
    """
    found = Measurement(case, unit, left_out=dict(bench.unavailable))
    with ExitStack() as stack:
        ready: dict[str, Round] = {}
        for environment in environments or bench.environments:
            remote = stack.enter_context(closing(bench.remote(environment)))
            _start(bench, remote, found, ready)
        of_peer = units(ready)
        order = list(ready)
        for n in range(bench.size.rounds):
            for peer in order if n % 2 == 0 else reversed(order):
                count = of_peer(peer)
                found.samples.setdefault(peer, []).append(ready[peer](count) / count)
    return found


def _start(bench: Bench, remote: Remote, found: Measurement, ready: dict[str, Round]) -> None:
    """Makes the sessions of an environment; one that cannot be made is left out."""
    given = found.case.as_json()
    remote.ask("data", case=given, folder=str(bench.data))
    for peer in remote.ask("peers", job=found.case.job):
        try:
            remote.ask("start", case=given, peer=peer, folder=str(bench.data), own=bench.place())
        except WorkerError as error:
            found.left_out[peer] = error.reason
            bench.say(f"{peer}: {error}")
        else:
            ready[peer] = partial(_round, remote, peer)


def _round(remote: Remote, peer: str, units: int) -> float:
    return remote.ask("round", peer=peer, units=units)


def steps_by_pace(reference: str, secs: float) -> Callable[[dict[str, Round]], Units]:
    """As many steps for all as the reference makes in so many seconds; a multiple of a hundred."""

    def units(ready: dict[str, Round]) -> Units:
        ready[reference](_STEPS)
        pace = ready[reference](_STEPS) / _STEPS
        steps = min(_MOST_STEPS, _STEPS * math.ceil(secs / pace / _STEPS))
        return lambda _: steps

    return units


def fixed(units: Units) -> Callable[[dict[str, Round]], Units]:
    """The same units whatever the pace."""
    return lambda _: units
