"""The forms of a schedule: what it was seen to do when it was tried."""

from __future__ import annotations

from typing import Any

from expcore.conformance.clause import Runaway
from expcore.conformance.schedules.case import (
    EMPTY,
    FINISHED,
    TOTAL,
    ScheduleCase,
    Trial,
    predicate_options,
)
from expcore.errors import ServerUnavailable


def forms(component: Any, case: ScheduleCase | None = None) -> frozenset[str]:
    """Returns what a schedule is, by the rules below; it is run twice for it.

    "runs": it can be tried here. "asks": it has an option for a predicate. "serves": it says so. "trains",
    "evaluates", "exports": it did, in the model directory. "reads training data", "reads evaluation data":
    it asked for them, wherever it worked. "waits": the time went on. "completes": it trained up to
    ``train_steps``. "follows": it waits for ever in an empty directory, and returns beside a finished
    training.
    """
    if case is None or not callable(component):
        return frozenset({"runs"})
    found = {"asks"} if predicate_options(component) else set()
    if case.serves:
        found.add("serves")
    trials = {place: case.trial(place).run() for place in (EMPTY, FINISHED)}
    if case.serves and any(isinstance(t.error, ServerUnavailable) for t in trials.values()):
        return frozenset(found - {"asks"})  # it is not allowed here
    found.add("runs")
    for trial in trials.values():
        found |= _seen(trial)
    empty, finished = trials[EMPTY], trials[FINISHED]
    if empty.returned and empty.estimator.step >= TOTAL:
        found.add("completes")
    if isinstance(empty.error, Runaway) and finished.returned:
        found.add("follows")
    return frozenset(found)


def _seen(trial: Trial) -> set[str]:
    did = {
        "trains": trial.estimator.steps,
        "evaluates": trial.estimator.looks,
        "exports": trial.offers,
        "reads training data": trial.train_data.asked,
        "reads evaluation data": trial.eval_data.asked,
        "waits": trial.clock.slept,
    }
    return {form for form, happened in did.items() if happened}
