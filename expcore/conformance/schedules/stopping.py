"""The promises of a schedule about being stopped: by an error, by a signal, by the end of its process."""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial
from typing import Any

from expcore.conformance.schedules.case import EMPTY, EVERY, PLACES, TOTAL, ScheduleCase, Trial
from expcore.conformance.schedules.recording import GOING_ON
from expcore.conformance.schedules.running import clauses
from expcore.conformance.schedules.watched import AtStep, Data
from expcore.conformance.setting import endless_data, linear_data
from expcore.conformance.trouble import Trouble
from expcore.errors import StoppedBySignal, one_line
from expcore.testing.numpy_estimator import read_checkpoint

SIGNALS = "concepts.md#signals"

READS = ("reads training data", "reads evaluation data")

SIGNAL_AT_SECS = 3.0

STEPS = (1, EVERY + 1, TOTAL)
"""In the first part of a training, in a later one, and where it ends."""

EVALUATIONS = 5
"""So many evaluations of a run are tried at most."""


class Killed(BaseException):
    """Stands for whatever ends a process in the middle."""


@clauses.must(21, after=(3,), forms=READS[:1], hint="catch no error that you cannot answer")
def lets_errors_of_the_training_through(case: ScheduleCase) -> None:
    """It swallows no error of the training: what the data or a hook raise comes out of it.

    Whatever the class of the error is, in each pass.
    """
    for place in PLACES:
        trouble = Trouble("the training data are not there")
        data = Data(endless_data, act=_raises(trouble))
        trial = case.trial(place, train_input_fn=data).run()
        _require_raised(case, trial, data.asked, trouble, "the training data raised")
        for step in STEPS:
            trouble = Trouble("a hook cannot go on")
            hook = AtStep(step, _raises(trouble))
            trial = case.trial(place, train_hooks=[hook]).run()
            _require_raised(case, trial, hook.fired, trouble, f"at step {step} a hook raised")


@clauses.must(22, after=(3,), forms=READS[1:], hint="catch no error that you cannot answer")
def lets_errors_of_the_evaluation_through(case: ScheduleCase) -> None:
    """It swallows no error of an evaluation: what the data raise comes out of it.

    Whatever the class of the error is, in the first evaluation and in later ones.
    """
    for place in PLACES:
        for n in range(1, EVALUATIONS + 1):
            trouble = Trouble("the evaluation data are not there")
            data = Data(linear_data, act=_raises(trouble, n))
            trial = case.trial(place, eval_input_fn=data).run()
            if data.asked < n:
                break
            _require_raised(case, trial, data.asked, trouble, f"in evaluation {n} the data raised")


def _require_raised(
    case: ScheduleCase, trial: Trial, happened: object, error: BaseException, what: str
) -> None:
    if happened:
        case.require(
            trial.error is error, f"{what} {one_line(error)}; {trial.told}", f"it raises {one_line(error)}"
        )


def _raises(error: BaseException, first: int = 0) -> Callable[..., None]:
    """Returns what raises in the call of this number and in those after it."""

    def act(call: int = 0) -> None:
        if call >= first:
            raise error

    return act


@clauses.must(
    23,
    after=(11, 12, 21, 22),
    forms=READS,
    page=SIGNALS,
    hint="catch neither BaseException nor SystemExit nor KeyboardInterrupt",
)
def ends_by_a_signal(case: ScheduleCase) -> None:
    """It ends with ``StoppedBySignal`` when a signal comes, whatever it does, and swallows no Ctrl-C."""
    for place in PLACES:
        for act in (_interrupt, _press):
            trial = case.trial(place)
            hook = AtStep(1, partial(act, trial))
            trial.experiment.extend_train_hooks([hook])
            trial.run()
            _require_stopped(case, trial, act, hook.fired, "while it trained")
            trial = case.trial(place)
            trial.eval_data.act = partial(act, trial)
            trial.run()
            _require_stopped(case, trial, act, trial.eval_data.asked, "while it evaluated")


def _interrupt(trial: Trial, _call: int = 0) -> None:
    trial.experiment.interrupt(signal.SIGTERM)


def _press(_trial: Trial, _call: int = 0) -> None:
    raise KeyboardInterrupt


def _require_stopped(
    case: ScheduleCase, trial: Trial, act: Callable[..., None], happened: object, when: str
) -> None:
    what, wanted = (
        ("SIGTERM came", StoppedBySignal) if act is _interrupt else ("Ctrl-C was pressed", KeyboardInterrupt)
    )
    case.require(
        not happened or isinstance(trial.error, wanted), f"{what} {when}; {trial.told}", wanted.__name__
    )


@clauses.must(
    24, after=(10, 23), forms=("waits",), page=SIGNALS, hint="use experiment.wait, not experiment.clock.sleep"
)
def ends_its_wait_by_a_signal(case: ScheduleCase) -> None:
    """It stops waiting at once when a signal comes."""
    for place in PLACES:
        trial = case.trial(place)
        trial.clock.deeds[SIGNAL_AT_SECS] = partial(_interrupt, trial)
        trial.run()
        if not trial.clock.slept:
            continue
        case.require(isinstance(trial.error, StoppedBySignal), f"SIGTERM came while it waited; {trial.told}")
        late = trial.clock.monotonic() - SIGNAL_AT_SECS
        case.require(late <= 1.0, f"{trial.where} it went on waiting for {late:g} seconds", "1 at most")


@clauses.must(
    25,
    after=(11, 14, 16),
    forms=("completes",),
    page=GOING_ON,
    hint="decide from experiment.history and the newest checkpoint alone, and go on from there",
)
def comes_to_the_same_end_after_a_kill(case: ScheduleCase) -> None:
    """It comes to the same end when it is killed anywhere and started again.

    The model is the same, and its last checkpoint is evaluated where it would have been.
    """
    whole = case.trial().run()
    for step in (EVERY - 2, EVERY + 1, TOTAL - 1):
        killed = case.trial(train_hooks=[AtStep(step, _raises(Killed()))]).run()
        _require_same_end(case, whole, killed, f"at step {step}")
    for n in range(1, whole.eval_data.asked + 1):
        data = Data(linear_data, act=partial(_kill_at, n))
        killed = case.trial(eval_input_fn=data).run()
        _require_same_end(case, whole, killed, f"in evaluation {n}")


def _kill_at(n: int, call: int) -> None:
    if call == n:
        raise Killed


def _require_same_end(case: ScheduleCase, whole: Trial, killed: Trial, when: str) -> None:
    again = case.trial(EMPTY, killed.folder).run()
    case.require(again.returned, f"killed {when} and started again {again.told}", "it returns")
    for name, end in _end(whole).items():
        found = _end(again)[name]
        case.require(
            found == end, f"killed {when} and started again, {name} is {found}", f"{end}, as without"
        )


def _end(trial: Trial) -> dict[str, Any]:
    """What a training came to."""
    newest = trial.experiment.latest_checkpoint()
    if newest is None:
        return {"the last step": 0}
    state = read_checkpoint(newest.path)
    recorded = trial.experiment.history.evaluated(newest)
    return {
        "the last step": state["step"],
        "the model": state["weights"].round(12).tolist(),
        "the last result": recorded and dict(recorded.metrics),
    }
