"""The promises of a hook: what it is, when it wants to be called, and that it goes through any training."""

from __future__ import annotations

import inspect
import json
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Real
from typing import Any

from expcore.conformance.clause import Clauses
from expcore.conformance.hooks.case import PART, STEPS, At, HookCase, stop
from expcore.conformance.hooks.watched import ARGUMENTS, Seen
from expcore.errors import ExpcoreError, listing, one_line
from expcore.types import HOOK_METHODS, is_hook

clauses = Clauses("HOK", page="writing-a-plugin.md#a-hook")

WHOLE = (7,)
"""Without a training nothing more can be tried."""


@clauses.must(1, hint="give an object with begin, next_step, after_steps, after_save, end or failed")
def can_be_made_and_is_a_hook(case: HookCase) -> None:
    """It can be made without arguments, anew each time, and has at least one of a hook's methods."""
    hook = case.make()
    case.require(not isinstance(hook, type), f"the class {hook!r}", "an object of it")
    case.require(is_hook(hook), f"{hook!r} with none of the methods", f"one of {listing(HOOK_METHODS)}")
    case.require(case.make() is not hook, "the same object each time", "one that can be copied, or factory=")


@clauses.must(2, after=(1,), hint="compare the parameters with the table of methods")
def takes_what_the_loop_gives(case: HookCase) -> None:
    """Its methods can be called with what the training loop gives them."""
    hook = case.make()
    for name, given in ARGUMENTS.items():
        method = getattr(hook, name, None)
        if not callable(method):
            continue
        try:
            signature = inspect.signature(method)
        except (TypeError, ValueError):  # a function of C may have none; then the next clauses tell
            continue
        try:
            signature.bind(*given)
        except TypeError as error:
            case.require(False, f"{name}{signature}: {error}", f"{name}({', '.join(given)})")


@clauses.must(3, after=(2, 6), forms=("steps",), hint="work it out from step: step - step % n + n")
def asks_for_a_later_step(case: HookCase) -> None:
    """Each time it is asked, it asks to be called again at a later step, or only at the end (None)."""
    for seen in (case.tried(), case.tried(At(None, lambda _run: None))):
        for step, answer in seen.asked:
            number = float(answer) if isinstance(answer, Real) and not isinstance(answer, bool) else math.nan
            case.require(
                answer is None or step < number < math.inf,
                f"next_step({step}) returned {answer!r}",
                f"a whole number above {step}, or None",
            )


@clauses.must(4, after=(2, 6), forms=("timed",), hint="give seconds as a number; None: not by time")
def its_seconds_are_a_number(case: HookCase) -> None:
    """Its ``every_secs`` is a number of seconds, 0 or more, before a training and during it."""
    hook = case.watch()
    case.attempt(At(0, lambda _run: _seconds(case, hook)), hook, At(0, lambda _run: _seconds(case, hook)))
    _seconds(case, hook)


def _seconds(case: HookCase, hook: Any) -> None:
    secs = hook.every_secs
    good = isinstance(secs, Real) and not isinstance(secs, bool) and 0 <= float(secs) < math.inf
    case.require(good or secs is None, f"every_secs is {secs!r}", "a number of seconds, 0 or more")


@clauses.must(5, after=(2, 6), forms=("stateful",), hint="give a dict of str, int, float, bool, None, lists")
def its_state_is_json(case: HookCase) -> None:
    """Its state is a dict that can be written as JSON, at each checkpoint."""
    for state in case.tried().states:
        case.require(isinstance(state, dict), f"get_state() returned {state!r}", "a dict")
        with case.no_error(f"json.dumps of its state {state!r}"):
            json.dumps(state)


@clauses.must(6, after=(2,), hint='say requires = "tensorflow" in the class, or do without it')
def says_what_it_requires(case: HookCase) -> None:
    """It runs without TensorFlow and Keras, or says by its ``requires`` that it needs them.

    A hook with ``requires`` is not given to estimators that do without.
    """
    if case.sample.estimator is not None or getattr(case.make(), "requires", None) is not None:
        return
    hook = case.watch()
    with _without("tensorflow", "keras"):
        case.attempt(hook)
    for method, error in hook.seen.errors:
        missing = isinstance(error, ImportError) and (error.name or "").partition(".")[0]
        case.require(missing not in ("tensorflow", "keras"), f"{method}() raised {one_line(error)}")


@contextmanager
def _without(*packages: str) -> Iterator[None]:
    """Lets imports of some packages fail."""
    hidden = {name: sys.modules[name] for name in list(sys.modules) if name.partition(".")[0] in packages}
    blocked: dict[str, Any] = dict.fromkeys((*hidden, *packages))
    sys.modules.update(blocked)
    try:
        yield
    finally:
        for name in blocked:
            sys.modules.pop(name, None)
        sys.modules.update(hidden)


@clauses.must(7, after=(2, 3, 4, 5, 6), hint="look at the error; metrics hold what the estimator gives")
def goes_through_a_training(case: HookCase) -> None:
    """It goes through a training from the first step to the end, with checkpoints, and raises nothing."""
    hook = case.watch()
    case.train(At(None, lambda run: run.clock.sleep(5) if run.step % 10 == 0 else None), hook)


@clauses.must(8, after=WHOLE, hint="take over run.step in begin; assume nothing of what was before")
def joins_a_training_that_goes_on(case: HookCase) -> None:
    """It can join a training that goes on from any step, without a state of its own in the checkpoint."""
    case.train(steps=PART)
    case.train(case.watch(), steps=STEPS - PART, doing=f"going on from step {PART}")


@clauses.must(9, after=WHOLE, hint="use run.metrics.get(...), or return where no step was made")
def takes_a_run_without_a_step(case: HookCase) -> None:
    """It takes a run that makes no step: ``after_steps`` is called at its end, and the metrics are empty."""
    case.train(At(0, stop), case.watch(), doing="a run that was asked to end before its first step")


@clauses.must(10, after=WHOLE, hint="do without run.until where it is None")
def takes_a_run_without_a_known_end(case: HookCase) -> None:
    """It takes a run whose end is not known: ``run.until`` is None."""
    case.train(At(STEPS, stop), case.watch(), steps=None, doing="a run without a limit")


@clauses.must(11, after=WHOLE, hint="where run.history is None do without it, or raise InvalidHook in begin")
def takes_a_run_without_an_experiment(case: HookCase) -> None:
    """Without an experiment, where ``run.history`` is None, it works, or says InvalidHook in ``begin``."""
    estimator, _ = case.estimator("alone")
    hook = case.watch()
    error = case.raised(lambda: estimator.train(case.train_data, hooks=[hook], steps=STEPS), ExpcoreError)
    where = {method for method, raised in hook.seen.errors if raised is error}
    late = error is not None and where != {"begin"}
    case.require(not late, f"{one_line(error)} in {where}" if error else "", "the same error in begin")


@clauses.must(12, after=WHOLE, forms=("steps",), hint="return the next point of a fixed grid, not step + n")
def is_called_though_others_stop_more_often(case: HookCase) -> None:
    """It is called at its steps, however often other hooks and checkpoints stop the training in between.

    ``next_step`` is asked at each stop, whoever asked for it.
    """
    alone, crowd = case.watch(), case.watch()
    case.train(alone, folder="alone")
    case.train(At(None, lambda _run: None), crowd, folder="crowd")
    for step, due, later, answer in crowd.seen.put_off[:1]:
        case.require(
            False,
            f"next_step({step}) returned {due}, but next_step({later}) {answer}, before that step had come",
            f"{due}, or sooner: else it is never called where the training stops more often",
        )
    _same_steps(case, crowd.seen, alone.seen, "while another hook stops at every step", "alone")


@clauses.should(
    13, after=(8, 12), forms=("steps",), hint="work next_step out from step alone: step - step % n + n"
)
def keeps_to_its_steps_after_a_restart(case: HookCase) -> None:
    """After a restart it is called at the same steps as without."""
    again, through = case.interrupted("crash"), case.uninterrupted("through")
    _same_steps(case, again, through, f"after a restart at step {PART}", "without a restart", after=PART)
    found, wanted = (dict(reversed(seen.asked)).get(PART) for seen in (again, through))
    told = f"next_step({PART}) returned {found} after a restart at that step"
    case.require(found == wanted, told, f"{wanted}, as without one")


def _same_steps(case: HookCase, found: Seen, wanted: Seen, one: str, other: str, after: int = 0) -> None:
    last = min([seen.steps[-1] for seen in (found, wanted) if seen.steps], default=0)
    seen, expected = ([s for s in x.steps if after < s < last] for x in (found, wanted))
    case.require(seen == expected, f"{one} it was called at {seen}", f"as {other}: {expected}")


@clauses.should(14, after=WHOLE, forms=("steps",), hint="read run.metrics in after_steps, where it is due")
def reads_no_metrics_to_find_its_step(case: HookCase) -> None:
    """It does not read the metrics in ``next_step``, asked at each stop: fetching them takes time."""
    read = case.tried(At(None, lambda _run: None)).read
    n = read.count("next_step")
    case.require(not n, f"the metrics were read {n} times in next_step")
