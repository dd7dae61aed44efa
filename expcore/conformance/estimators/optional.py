"""Promises of the optional parts of an estimator: checkpoints, restored, with_model_dir, predict."""

from __future__ import annotations

import pickle
from functools import partial
from typing import Any

from expcore.conformance.estimators.case import EstimatorCase
from expcore.conformance.estimators.clauses import clauses
from expcore.conformance.estimators.resuming import HALT


@clauses.must(
    51, after=(9, 17, 21), forms=("checkpoints",), hint="sort by step or by time of saving, oldest first"
)
def lists_its_checkpoints(case: EstimatorCase) -> None:
    """It lists the path of every checkpoint by ``checkpoints()``, oldest first; none before training."""
    estimator = case.estimator()
    found = list(estimator.checkpoints())
    case.require(not found, f"before training there are {found}", "none")
    for n in range(1, 5):
        case.train(estimator, max_steps=3 * n)  # to 12, since sorted by name 12 comes before 3
    steps = [case.step(estimator, path) for path in estimator.checkpoints()]
    case.require(steps == [3, 6, 9, 12], f"saved at 3, 6, 9, 12, it lists the steps {steps}", "that order")
    last, latest = list(estimator.checkpoints())[-1], estimator.latest_checkpoint()
    case.require(last == latest, f"the last is {last!r} and the latest {latest!r}", "the same path")


def _weights(case: EstimatorCase, model: Any) -> Any:
    """What a native model holds, as something that can be compared."""
    import numpy as np

    if callable(getattr(model, "get_weights", None)):
        return [np.asarray(w).tobytes() for w in model.get_weights()]
    variables = getattr(model, "variables", None)  # of a tf.Module
    if variables and all(callable(getattr(v, "numpy", None)) for v in variables):
        return [np.asarray(v.numpy()).tobytes() for v in variables]
    if callable(getattr(model, "state_dict", None)):
        return {name: np.asarray(w).tobytes() for name, w in model.state_dict().items()}
    try:
        return pickle.dumps(model)
    except Exception:
        case.skip(
            f"a {type(model).__name__} has no get_weights(), variables or state_dict(), and cannot be pickled"
        )


def _restored(case: EstimatorCase, estimator: Any, path: str | None = None) -> Any:
    with estimator.restored(path) as model:
        return _weights(case, model)


RESTORED = ("restored",)


@clauses.must(
    52, after=(17,), forms=RESTORED, hint="load the weights of checkpoint_path; None: of the latest"
)
def gives_the_model_of_a_checkpoint(case: EstimatorCase) -> None:
    """It gives the native model by ``restored``, with the weights of the checkpoint that is asked for.

    Without a path: those of the latest.
    """
    estimator = case.estimator()
    case.train(estimator, steps=2)
    older, then = estimator.latest_checkpoint(), _restored(case, estimator)
    case.train(estimator, steps=3)
    now = _restored(case, estimator, older)
    case.require(now == then, "the weights of step 2 are others than when it was the latest", "the same")
    latest = _restored(case, estimator)
    case.require(latest != then, "the weights of the latest, step 5, are those of step 2", "others")
    fresh = _restored(case, case.estimator(), older)
    case.require(fresh == then, "the weights of step 2 are others in a new one", "the same")


@clauses.must(53, after=(52,), forms=RESTORED, hint="make evaluate() work inside restored()")
def evaluates_inside_restored(case: EstimatorCase) -> None:
    """It evaluates the same checkpoint also inside ``restored``, as often as there are evaluation sets."""
    estimator = case.estimator()
    older, _ = case.two_checkpoints(estimator)
    wanted = case.evaluate(estimator, checkpoint_path=older)
    with estimator.restored(older):
        found = case.evaluate(estimator, checkpoint_path=older)
    case.require_alike("step 2, evaluated outside and inside restored()", wanted, found)


@clauses.must(54, after=(52,), forms=RESTORED, hint="put the state back in finally")
def leaves_restored_in_order(case: EstimatorCase) -> None:
    """It lets an error inside ``restored`` out unchanged, and trains on from where it was."""
    estimator, error = case.estimator(), RuntimeError("an exporter's own")
    older, _ = case.two_checkpoints(estimator)

    def export() -> None:
        with estimator.restored(older):
            raise error

    seen = case.raised(export, RuntimeError)
    case.require(seen is error, f"inside {error!r} was raised, and outside {seen!r}", "the very same")
    case.train(estimator, steps=2)
    case.require_step(estimator, 7, "training to step 5, restored() of step 2, and train(steps=2)")


@clauses.must(
    55,
    after=(27, 54),
    forms=RESTORED,
    capability="reproducible",
    hint="give the state of the training back, or a model of its own",
)
def restored_leaves_no_trace(case: EstimatorCase) -> None:
    """It makes the same steps after ``restored`` as without, whatever happened inside."""
    results = []
    for looks in (False, True):
        estimator = case.estimator(f"restored-{looks}")
        older, _ = case.two_checkpoints(estimator)
        if looks:
            case.raised(partial(_restored_and_failed, estimator, older), RuntimeError)
        case.train(estimator, steps=3)
        results.append(case.evaluate(estimator))
    case.require_alike("at step 8, without and with restored() of step 2 at step 5", *results)


def _restored_and_failed(estimator: Any, path: str) -> None:
    with estimator.restored(path):
        raise RuntimeError("an exporter's own")


COPY = ("with_model_dir",)


@clauses.must(
    56, after=(4, 8, 26), forms=COPY, hint="make another estimator with the same settings, but model_dir"
)
def can_be_copied(case: EstimatorCase) -> None:
    """It gives another one by ``with_model_dir``, in that directory, without checkpoint, that can train.

    The directory of the first stays as it is.
    """
    estimator, path = case.estimator(), str(case.folder / "copy")
    case.train(estimator, steps=3)
    latest = estimator.latest_checkpoint()
    copy = estimator.with_model_dir(path)
    case.require(copy is not estimator, "it returned itself", "another")
    case.require(copy.model_dir == path, f"the copy's model_dir is {copy.model_dir!r}", repr(path))
    found = estimator.model_dir
    case.require(found != path, f"the model_dir of the first is {found!r} now", "what it was")
    case.require(copy.latest_checkpoint() is None, "the copy has a checkpoint before training", "none")
    case.train(copy, steps=2)
    case.require_step(copy, 2, "train(steps=2) of the copy")
    now = estimator.latest_checkpoint()
    case.require(now == latest, f"then the first one's latest checkpoint is {now!r}", repr(latest))


@clauses.must(
    57, after=(56, 27), forms=COPY, capability="reproducible", hint="make a model of its own for the copy"
)
def a_copy_shares_no_variable(case: EstimatorCase) -> None:
    """It shares no variable with a copy that ``with_model_dir`` made."""
    results = []
    for copied in (False, True):
        estimator = case.estimator(f"copied-{copied}")
        case.train(estimator, steps=HALT)
        if copied:
            case.train(estimator.with_model_dir(str(case.folder / "copy")), steps=2)
        case.train(estimator, steps=3)
        results.append(case.evaluate(estimator))
    case.require_alike("at step 8, without and with a copy that was trained at step 5", *results)


PREDICT = ("predict",)


def _predicted(case: EstimatorCase, estimator: Any, **given: Any) -> list[str]:
    return [repr(prediction) for prediction in estimator.predict(case.eval_data, **given)]


@clauses.must(58, after=(5,), forms=PREDICT, hint="yield one prediction for each example, in their order")
def predicts_each_example(case: EstimatorCase) -> None:
    """It predicts once for each example, the same each time."""
    estimator = case.estimator()
    case.train(estimator, steps=2)
    found = _predicted(case, estimator)
    case.require(found, "it gave no prediction", "one an example")
    count = _examples(case.eval_data())
    right = count is None or len(found) == count
    case.require(right, f"it gave {len(found)} predictions for {count} examples", "one each")
    case.require(found == _predicted(case, estimator), "asked again, it predicts otherwise", "the same")


def _examples(data: Any) -> int | None:
    """How many examples there are, where the data are arrays of features and labels."""
    arrays = isinstance(data, tuple) and all(hasattr(part, "shape") and len(part.shape) for part in data)
    return len(data[0]) if arrays and data else None


@clauses.must(
    59, after=(58, 17), forms=PREDICT, hint="read the checkpoint at checkpoint_path; None: the latest"
)
def predicts_with_the_checkpoint_asked_for(case: EstimatorCase) -> None:
    """It predicts with the checkpoint at ``checkpoint_path``, without a path with the latest."""
    estimator = case.estimator()
    case.train(estimator, steps=2)
    older, then = estimator.latest_checkpoint(), _predicted(case, estimator)
    case.train(estimator, steps=3)
    now = _predicted(case, estimator, checkpoint_path=older)
    case.require(now == then, "with step 2 it predicts otherwise than when that was the latest", "the same")
    case.require(_predicted(case, estimator) != then, "steps 2 and 5 predict the same", "each its own")
