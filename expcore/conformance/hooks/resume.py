"""The promises of a hook about what it keeps: from run to run, and over a restart."""

from __future__ import annotations

import json

from expcore.conformance.hooks.case import PART, STEPS, HookCase
from expcore.conformance.hooks.clauses import clauses


@clauses.must(15, after=(8,), hint="set in begin what counts for one run")
def keeps_nothing_from_one_run_to_the_next(case: HookCase) -> None:
    """Used again, it does what a fresh one does; what is to outlast a run is its state or in the log.

    An experiment trains as often as its schedule says, each time with the same hooks.
    """
    veteran, first = case.watch(), case.watch()
    case.train(veteran, steps=PART, folder="veteran")
    case.train(first, steps=PART, folder="fresh")
    before = vars(veteran.seen)
    calls, saves, stops = (len(before[name]) for name in ("calls", "saves", "stops"))
    fresh = case.watch()
    rest = STEPS - PART
    end = case.train(veteran, steps=rest, folder="veteran", doing="a second training with the same hook")
    wanted = case.train(fresh, steps=rest, folder="fresh")
    for what, found, expected in (
        ("it was called at", veteran.seen.calls[calls:], fresh.seen.calls),
        ("it asked for checkpoints at", veteran.seen.saves[saves:], fresh.seen.saves),
        ("it asked for the end at", veteran.seen.stops[stops:], fresh.seen.stops),
        ("training ended at", (end.step, end.reason), (wanted.step, wanted.reason)),
    ):
        case.require(found == expected, f"in its second run {what} {found}", f"as a fresh one: {expected}")


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
