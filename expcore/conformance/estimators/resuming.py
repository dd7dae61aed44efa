"""Promises of an estimator about going on: after a restart, exactly, and by the rhythm of its config."""

from __future__ import annotations

from typing import Any

from expcore.conformance.estimators.case import MOST_STEPS, EstimatorCase
from expcore.conformance.estimators.clauses import clauses

HALT = 5


class Told:
    """A saving listener that notes the steps of saves."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def begin(self) -> None:
        """Nothing to do."""

    def before_save(self, session: Any, global_step: int) -> None:
        """Nothing to do."""

    def after_save(self, session: Any, global_step: int) -> None:
        """Notes the step."""
        self.steps.append(int(global_step))

    def end(self, session: Any, global_step: int) -> None:
        """Nothing to do."""


@clauses.must(24, after=(8, 19), hint="find the newest checkpoint by what lies in the directory")
def is_found_again(case: EstimatorCase) -> None:
    """It finds, made anew in the same directory, the latest checkpoint, and evaluates it alike."""
    trained = case.estimator()
    case.train(trained, steps=3)
    fresh = case.estimator()
    path, found = trained.latest_checkpoint(), fresh.latest_checkpoint()
    case.require(found == path, f"it has {found!r} for the latest", f"{path!r}, which was saved")
    case.require_alike("the one that trained and a new one", case.evaluate(trained), case.evaluate(fresh))


@clauses.must(25, after=(9, 24), hint="restore the newest checkpoint at the beginning of train()")
def goes_on_after_a_restart(case: EstimatorCase) -> None:
    """It trains on, made anew in the same directory, from the latest checkpoint's step."""
    case.train(case.estimator(), steps=3)
    fresh = case.estimator()
    case.train(fresh, steps=2)
    case.require_step(fresh, 5, "train(steps=3), and train(steps=2) of a new one")
    fresh = case.estimator()
    case.train(fresh, max_steps=6)
    case.require_step(fresh, 6, "training to step 5, and train(max_steps=6) of a new one")


@clauses.must(26, after=(4, 8, 19), hint="keep nothing on the class or in the module")
def shares_nothing_with_another(case: EstimatorCase) -> None:
    """It shares nothing with another one in another directory."""
    one, other = case.estimator("one"), case.estimator("other")
    case.train(one, steps=3)
    found = other.latest_checkpoint()
    case.require(found is None, f"one was trained, and the other has {found!r} for the latest", "None")
    result = case.evaluate(one)
    case.train(other, steps=2)
    case.require_step(other, 2, "train(steps=3) of one and train(steps=2) of the other")
    case.require_alike("one, evaluated before and after the other was trained", result, case.evaluate(one))


@clauses.must(
    27, after=(8, 26), capability="reproducible", hint="seed all that is random with config.random_seed"
)
def trains_alike_from_the_same_seed(case: EstimatorCase) -> None:
    """It trains to the same result as another one that is made alike, with a random seed."""
    results = []
    for name in ("one", "other"):
        estimator = case.estimator(name)
        case.train(estimator, steps=HALT)
        results.append(case.evaluate(estimator))
    case.require_alike(f"two of the same seed after {HALT} steps", *results)


def _in_one_go(case: EstimatorCase) -> dict[str, Any]:
    estimator = case.estimator("straight")
    case.train(estimator, max_steps=MOST_STEPS)
    return case.evaluate(estimator)


@clauses.must(
    28, after=(27, 22), capability="reproducible", hint="evaluate with a copy, draw no common number"
)
def evaluating_leaves_no_trace(case: EstimatorCase) -> None:
    """It makes the same steps with evaluations in between as without."""
    results = []
    for looks in (False, True):
        estimator = case.estimator(f"evaluated-{looks}")
        case.train(estimator, steps=2)
        older = estimator.latest_checkpoint()
        case.train(estimator, steps=3)
        if looks:
            case.evaluate(estimator, checkpoint_path=older)
            case.evaluate(estimator)
        case.train(estimator, steps=3)
        results.append(case.evaluate(estimator))
    case.require_alike("at step 8, without and with evaluations at step 5", *results)


@clauses.must(
    29,
    after=(27, 25),
    capability="exact_resume",
    page="concepts.md#going-on-after-a-stop",
    hint="save all that moves: optimizer, random generators, the position in the data",
)
def resumes_exactly(case: EstimatorCase) -> None:
    """It makes the same steps, stopped and gone on with by a new one, as in one go."""
    for steps in (HALT, MOST_STEPS):
        parts = case.estimator("parts")
        case.train(parts, max_steps=steps)
    told = f"at step {MOST_STEPS}, in one go and with a restart at step {HALT}"
    case.require_alike(told, _in_one_go(case), case.evaluate(parts))


@clauses.must(
    30,
    after=(27, 8),
    capability="exact_resume",
    hint="keep the iterator while train() is given the same input function",
)
def goes_on_in_the_data(case: EstimatorCase) -> None:
    """It goes on with the data where it was, when it is called again with the same input function."""
    parts = case.estimator("parts")
    for steps in (HALT, MOST_STEPS - HALT):
        case.train(parts, steps=steps)
    told = f"at step {MOST_STEPS}, in one go and in two calls"
    case.require_alike(told, _in_one_go(case), case.evaluate(parts))


@clauses.must(
    31,
    after=(17, 51),
    capability="checkpoint_rhythm",
    forms=("checkpoints", "saving_listeners"),
    page="keras-estimator.md#config",
    hint="save when save_checkpoints_steps steps were made since the last save, and at the end",
)
def saves_by_the_rhythm_of_the_config(case: EstimatorCase) -> None:
    """It saves every ``save_checkpoints_steps`` steps of its config, and at the end."""
    estimator = case.estimator(save_checkpoints_steps=3, keep_checkpoint_max=9)
    if callable(getattr(estimator, "checkpoints", None)):
        case.train(estimator, max_steps=7)
        found = [case.step(estimator, path) for path in estimator.checkpoints()]
    else:
        told = Told()
        case.train(estimator, max_steps=7, saving_listeners=[told])
        found = told.steps
    case.require(found == [3, 6, 7], f"with one every 3 it saved at {found} until 7", "[3, 6, 7]")


@clauses.must(
    32,
    after=(17, 21, 26, 36),
    capability="checkpoint_rhythm",
    page="keras-estimator.md#config",
    hint="remove older checkpoints after a save, never the newest; 0 and None keep all",
)
def keeps_as_many_as_the_config_says(case: EstimatorCase) -> None:
    """It keeps the ``keep_checkpoint_max`` newest checkpoints of its config; 0 and None: all."""
    for keep, wanted in ((2, [3, 4]), (0, [1, 2, 3, 4]), (None, [1, 2, 3, 4])):
        estimator = case.estimator(f"keep-{keep}", keep_checkpoint_max=keep)
        paths = []
        for _ in range(4):
            case.train(estimator, steps=1)
            paths.append(estimator.latest_checkpoint())
        found = [step for step, path in enumerate(paths, 1) if _readable(case, estimator, path)]
        told = f"keep_checkpoint_max={keep}: of the steps 1 to 4 it kept {found}"
        case.require(found == wanted, told, str(wanted))


def _readable(case: EstimatorCase, estimator: Any, path: str) -> bool:
    try:
        case.evaluate(estimator, steps=1, checkpoint_path=path)
    except Exception:
        return False  # which error it is, another clause looks at
    return True
