"""The promises of a hook about what it keeps: from run to run, and over a restart."""

from __future__ import annotations

import json
from typing import Any

from expcore.conformance.hooks.case import FLAT_RUNS, PART, STEPS, HookCase, Ticks
from expcore.conformance.hooks.clauses import clauses
from expcore.conformance.hooks.watched import Seen


@clauses.must(15, after=(8,), hint="set in begin what counts for one run")
def keeps_nothing_from_one_run_to_the_next(case: HookCase) -> None:
    """Used again, it does what a fresh one does; what is to outlast a run is its state or in the log.

    An experiment trains as often as its schedule says, each time with the same hooks.
    """
    veteran, runs = case.watch(), ((PART, False), (STEPS - PART, False), *((n, True) for n in FLAT_RUNS))
    for number, (steps, flat) in enumerate(runs, start=1):
        fresh = case.watch()
        veteran.seen = Seen()
        doing = f"training number {number} with the same hook"
        end = case.train(Ticks(), veteran, steps=steps, flat=flat, folder="veteran", doing=doing)
        wanted = case.train(Ticks(), fresh, steps=steps, flat=flat, folder="fresh")
        for what, found, expected in (
            ("it was called at", veteran.seen.calls, fresh.seen.calls),
            ("it asked for checkpoints at", veteran.seen.saves, fresh.seen.saves),
            ("it asked for the end at", veteran.seen.stops, fresh.seen.stops),
            ("training ended at", (end.step, end.reason), (wanted.step, wanted.reason)),
        ):
            seen = f"in run {number} {what} {short(found)}"
            case.require(found == expected, seen, f"as a fresh one: {short(expected)}")


def short(seen: Any) -> str:
    """Returns what was seen as text, the last of it where it is long."""
    return f"..., {', '.join(map(str, seen[-8:]))}" if len(seen) > 8 else f"{seen}"


@clauses.must(16, after=(8,), forms=("stateful",), hint="set_state has to set all that get_state gives")
def takes_its_state_back(case: HookCase) -> None:
    """It takes over the state that it is given: ``get_state`` then gives the same."""
    for state, found in case.interrupted("crash").taken:
        wanted, seen = (json.dumps(each, sort_keys=True) for each in (state, found))
        case.require(seen == wanted, f"given {wanted} it has {seen}")


@clauses.must(17, after=(8,), forms=("stateful",), hint="what decides has to be in the state, or in the log")
def does_after_a_restart_what_it_would_have_done(case: HookCase) -> None:
    """Given its state back, it asks for the same checkpoints and the same end as without the restart."""
    again, through = case.interrupted("crash"), case.uninterrupted("through")
    for what, found, wanted in (
        ("checkpoints", again.saves, [step for step in through.saves if step > PART]),
        ("the end", again.stops, [(step, why) for step, why in through.stops if step > PART]),
    ):
        case.require(
            found == wanted,
            f"after a restart at step {PART} it asked for {what} at {found}",
            f"as without one: {wanted}",
        )
