"""Promises of an estimator about training: what it is, how far it trains, what it does when that fails."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from expcore.calling import accepts
from expcore.conformance.estimators.case import EstimatorCase, contents, files_below
from expcore.conformance.estimators.clauses import clauses
from expcore.conformance.setting import quiet_host
from expcore.conformance.trouble import Trouble
from expcore.errors import StoppedBySignal, one_line
from expcore.experiment import Experiment
from expcore.types import ESTIMATOR_METHODS

ENDLESS = 1000
"""More steps than the evaluation data are good for."""

GIVEN = {
    "train": ("hooks", "steps", "max_steps"),
    "evaluate": ("steps", "hooks", "checkpoint_path", "name"),
}
"""What an experiment gives by name."""


@clauses.must(1, hint="have these methods, and set self.model_dir to the path that the factory was given")
def is_an_estimator(case: EstimatorCase) -> None:
    """It can be made, has ``train``, ``evaluate`` and ``latest_checkpoint``, and its ``model_dir``."""
    estimator = case.make()
    missing = [name for name in ESTIMATOR_METHODS if not callable(getattr(estimator, name, None))]
    case.require(not missing, f"it lacks {', '.join(missing)}")
    case.require(hasattr(estimator, "config"), "it has no config", "an attribute `config`, which may be None")
    found = getattr(estimator, "model_dir", None)
    case.require(isinstance(found, str), f"its model_dir is {found!r}", "a string")
    if case.placed and estimator is not case.sample.component:
        wanted = str(case.folder / "model")
        case.require(found == wanted, f"its model_dir is {found!r}", f"the one it was given, {wanted!r}")


@clauses.must(
    2,
    after=(1,),
    hint="name these parameters; a train(**kwargs) is given saving_listeners and has to call them",
)
def takes_what_an_experiment_gives(case: EstimatorCase) -> None:
    """It is taken by an experiment, and takes what passes give to ``train`` and ``evaluate``."""
    estimator = case.make()
    for method, given in GIVEN.items():
        missing = [name for name in given if not accepts(getattr(estimator, method), name)]
        case.require(not missing, f"{method}() takes no {', '.join(missing)}")
    with case.no_error("an Experiment that was given it", "an experiment"):
        Experiment(estimator, case.train_data, case.eval_data, plugins=quiet_host())


@clauses.must(3, after=(1,), hint="make directories and restore checkpoints in train(), not in __init__")
def making_it_writes_nothing(case: EstimatorCase) -> None:
    """It writes nothing in its directory before it is trained.

    Evaluators and servers make one too, beside a trainer or before it.
    """
    estimator = case.estimator()
    found = files_below(estimator.model_dir)
    case.require(not found, f"it wrote {[path.name for path in found]}", "no file")


@clauses.must(4, after=(1,), hint="return None where the directory is empty or not there")
def knows_no_checkpoint_before_training(case: EstimatorCase) -> None:
    """Its latest checkpoint is None as long as there is none."""
    found = case.estimator().latest_checkpoint()
    case.require(found is None, f"latest_checkpoint() returned {found!r}", "None")


@clauses.must(
    63,
    after=(2,),
    hint="see the error; data of the form that it takes are given by train_input_fn= and eval_input_fn=",
)
def takes_the_data_that_it_is_tried_with(case: EstimatorCase) -> None:
    """It can be trained and evaluated on the data that it is tried with.

    Where none are given, the training data are an endless iterable of batches ``(x, y)`` of shapes [16, 3]
    and [16], and the evaluation data two arrays ``(x, y)`` of shapes [64, 3] and [64], all float32.
    """
    estimator = case.estimator()
    with case.no_error("train(steps=1)", case.told_of(case.train_data)):
        case.train(estimator, steps=1)
    if estimator.latest_checkpoint() is not None:
        with case.no_error("evaluate()", case.told_of(case.eval_data)):
            case.evaluate(estimator)


@clauses.must(5, after=(63,), hint="save at the end of train(), and return the path, a str")
def saves_at_the_end(case: EstimatorCase) -> None:
    """It has a checkpoint after training, whose path is a string."""
    estimator = case.estimator()
    case.train(estimator, steps=2)
    found = estimator.latest_checkpoint()
    case.require(isinstance(found, str) and found, f"latest_checkpoint() returned {found!r}", "a string")


@clauses.must(6, after=(63,), hint="end train() with `return self`")
def train_returns_the_estimator(case: EstimatorCase) -> None:
    """It returns itself from ``train``, also where there is nothing left to do."""
    estimator = case.estimator()
    for _ in range(2):
        found = case.train(estimator, max_steps=1)
        case.require(found is estimator, f"train(max_steps=1) returned {found!r}", "the estimator")


@clauses.must(7, after=(5,), hint="return {'loss': float(loss), ..., 'global_step': step}")
def evaluate_returns_metrics(case: EstimatorCase) -> None:
    """It returns metrics that are numbers from ``evaluate``, and the whole number ``global_step``."""
    estimator = case.estimator()
    case.train(estimator, steps=2)
    found = estimator.evaluate(case.eval_data)
    case.require(hasattr(found, "keys"), f"evaluate() returned {found!r}", "a mapping")
    case.require("global_step" in found, f"it has {sorted(found)}", "'global_step' among them")
    step = found["global_step"]
    whole = not isinstance(step, bool | float) and hasattr(step, "__index__")
    case.require(whole, f"global_step is {step!r}", "a whole number")
    case.require(len(found) > 1, "there is nothing but global_step", "at least one metric")
    for name, value in found.items():
        with case.no_error(f"float() of the metric {name!r}, {value!r},", "a number"):
            float(value)


@clauses.must(8, after=(7,), hint="count global steps over all calls; end when `steps` more are made")
def trains_so_many_steps_more(case: EstimatorCase) -> None:
    """It trains exactly ``steps`` more, on top of those made before."""
    estimator = case.estimator()
    case.train(estimator, steps=3)
    case.require_step(estimator, 3, "train(steps=3)")
    case.train(estimator, steps=2)
    case.require_step(estimator, 5, "train(steps=3) and train(steps=2)")


@clauses.must(9, after=(7,), hint="compare max_steps with the global step, not with the steps of the call")
def trains_until_a_step(case: EstimatorCase) -> None:
    """It trains until global step ``max_steps`` and not beyond, counting from what was made before."""
    estimator = case.estimator()
    case.train(estimator, max_steps=3)
    case.require_step(estimator, 3, "train(max_steps=3)")
    case.train(estimator, max_steps=5)
    case.require_step(estimator, 5, "train(max_steps=3) and train(max_steps=5)")


@clauses.must(10, after=(9,), hint="return before the input is opened where global step >= max_steps")
def trains_no_further_than_max_steps(case: EstimatorCase) -> None:
    """It makes no step and writes no checkpoint where ``max_steps`` is reached already."""
    estimator = case.estimator()
    case.train(estimator, max_steps=3)
    path = estimator.latest_checkpoint()
    for max_steps in (3, 2):
        before = contents(files_below(estimator.model_dir))
        case.train(estimator, max_steps=max_steps)
        told = f"at step 3, after train(max_steps={max_steps})"
        latest = estimator.latest_checkpoint()
        case.require(latest == path, f"{told} the latest checkpoint is {latest!r}", f"{path!r} still")
        changed = [file for file, text in before.items() if not _holds(file, text)]
        case.require(not changed, f"{told} it wrote anew {changed}", "files as they were")
        case.require_step(estimator, 3, f"train(max_steps=3) and train(max_steps={max_steps})")


def _holds(file: str, text: bytes) -> bool:
    return Path(file).is_file() and Path(file).read_bytes() == text


@clauses.must(11, after=(2, 4), hint="raise ValueError at once where both are given")
def refuses_both_limits(case: EstimatorCase) -> None:
    """It refuses ``steps`` and ``max_steps`` together with a ValueError, before any step."""
    estimator = case.estimator()
    error = case.raised(lambda: case.train(estimator, steps=1, max_steps=2), ValueError)
    case.require(error is not None, "train(steps=1, max_steps=2) raised nothing", "ValueError")
    latest = estimator.latest_checkpoint()
    case.require(latest is None, f"after the error there is the checkpoint {latest!r}", "no step made")


@clauses.must(12, after=(8,), hint="end train() when the input ends; do not begin it anew")
def ends_with_the_input(case: EstimatorCase) -> None:
    """It ends training where the input ends, and saves what it made of it.

    The evaluation data are trained on, since they are known to end.
    """
    estimator = case.estimator()
    with case.no_error("training on the evaluation data", "data that can be trained on; give other ones"):
        estimator.train(case.eval_data, steps=ENDLESS)
    latest = estimator.latest_checkpoint()
    case.require(latest is not None, "after input that ended there is no checkpoint", "one")
    found = case.step(estimator)
    case.require(0 < found < ENDLESS, f"on the evaluation data it made {found} steps", "one pass")


@clauses.must(13, after=(12,), hint="open the input anew where a call finds it at its end")
def begins_ended_input_anew(case: EstimatorCase) -> None:
    """It begins input that had ended anew in the next call of ``train``."""
    estimator = case.estimator()
    steps = []
    for _ in range(3):
        estimator.train(case.eval_data, steps=ENDLESS)
        steps.append(case.step(estimator))
    case.require(
        steps[1] == 2 * steps[0] and steps[2] == 3 * steps[0],
        f"three calls on the evaluation data ended at the steps {steps}",
        f"each makes a pass of {steps[0]}",
    )


@clauses.must(14, after=(2, 4), hint="check what the input function returned before anything else")
def refuses_no_input(case: EstimatorCase) -> None:
    """It refuses None for input with a ValueError or TypeError, and writes no checkpoint."""
    estimator = case.estimator()
    error = case.raised(lambda: estimator.train(lambda: None, steps=2), ValueError, TypeError)
    case.require(error is not None, "training on None raised nothing", "ValueError or TypeError")
    latest = estimator.latest_checkpoint()
    case.require(latest is None, f"after the error there is the checkpoint {latest!r}", "none")


class _Failing:
    """An input function that raises."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __call__(self) -> Any:
        """Raises it."""
        raise self.error


def _interrupted_by(case: EstimatorCase, error: BaseException) -> None:
    """Trains, fails, and trains on."""
    estimator = case.estimator()
    case.train(estimator, steps=3)
    seen = case.raised(lambda: estimator.train(_Failing(error), steps=3), BaseException)
    told = f"the input function raised {one_line(error)}; train() "
    case.require(seen is not None, f"{told}raised nothing", "the same error")
    case.require(seen is error, f"{told}raised {seen!r}", "the very same")
    case.require_step(estimator, 3, "train(steps=3) and one that failed")
    case.train(estimator, steps=2)
    case.require_step(estimator, 5, "train(steps=3), one that failed, and train(steps=2)")


@clauses.must(15, after=(8,), hint="let errors of the input function through; wrap none, swallow none")
def lets_errors_through(case: EstimatorCase) -> None:
    """It lets through unchanged what the input function raises, and can go on from the checkpoint before.

    Whatever the class of the error is.
    """
    _interrupted_by(case, Trouble("the data are gone"))


@clauses.must(16, after=(15,), hint="catch Exception, never BaseException, unless it is raised again")
def lets_signals_through(case: EstimatorCase) -> None:
    """It lets through KeyboardInterrupt and the end by a signal, and can go on from the checkpoint before."""
    for n, error in enumerate((KeyboardInterrupt(), StoppedBySignal(signal.SIGTERM))):
        inner = EstimatorCase(case.sample, case.folder / str(n))
        inner.folder.mkdir()
        _interrupted_by(inner, error)
