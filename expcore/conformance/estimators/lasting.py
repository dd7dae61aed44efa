"""Promises of an estimator about its directory: wherever it lies, and when files are damaged."""

from __future__ import annotations

import os
import shutil
from functools import partial
from pathlib import Path

from expcore.conformance.estimators.case import EstimatorCase, files_below
from expcore.conformance.estimators.clauses import clauses
from expcore.errors import CheckpointCorrupt


def _trained_and_resumed(case: EstimatorCase, name: str) -> None:
    case.train(case.estimator(name), steps=2)
    fresh = case.estimator(name)
    case.train(fresh, steps=1)
    case.require_step(fresh, 3, f"train(steps=2), and train(steps=1) of a new one, in {fresh.model_dir!r},")


@clauses.must(33, after=(25,), hint="make directories with parents; quote and encode nothing yourself")
def works_in_a_directory_of_any_name(case: EstimatorCase) -> None:
    """It works in a directory whose name has spaces and letters of any language.

    The directory and those above it need not be there.
    """
    _trained_and_resumed(case, "a new folder/mödel 模型 100%")


@clauses.must(
    34,
    after=(25, 26),
    page="concepts.md#the-model-directory",
    hint="store paths relative to the directory, or find checkpoints by the names of their files",
)
def goes_on_where_the_directory_was_moved_to(case: EstimatorCase) -> None:
    """It goes on in a directory that was moved to another place."""
    case.require_placed()
    old = case.estimator("old")
    case.train(old, steps=2)
    shutil.move(old.model_dir, case.folder / "new")
    moved = case.estimator("new")
    case.train(moved, steps=1)
    case.require_step(moved, 3, "train(steps=2), a move, and train(steps=1) in the new place")
    case.require(not files_below(case.folder / "old"), "it wrote into the old place", "nothing there")


@clauses.must(35, after=(8,), hint="write below model_dir only; change no directory and no variable")
def leaves_the_surroundings_alone(case: EstimatorCase) -> None:
    """It writes below its model directory only, and leaves the process as it was.

    That is: the working directory and the environment, also where it is only made.
    """
    work = case.folder / "work"
    work.mkdir()
    os.chdir(work)
    environ = dict(os.environ)
    estimator = case.estimator()
    case.train(estimator, steps=2)
    case.evaluate(estimator)
    wrong = [str(path) for path in _beside(case, estimator.model_dir)]
    case.require(not wrong, f"written beside the model directory: {wrong}", "nothing")
    case.require(os.getcwd() == str(work), f"the working directory is {os.getcwd()!r}", repr(str(work)))
    wrong = sorted({name for name, _ in environ.items() ^ dict(os.environ).items()})
    case.require(not wrong, f"variables of the environment changed: {wrong}", "none")


def _beside(case: EstimatorCase, model_dir: str) -> list[Path]:
    return [path for path in files_below(case.folder) if not str(path).startswith(model_dir + os.sep)]


@clauses.must(36, after=(17,), hint="let the error of reading through; fall back to no other checkpoint")
def refuses_to_evaluate_what_cannot_be_read(case: EstimatorCase) -> None:
    """It refuses to evaluate a checkpoint that is damaged or gone, and gives no other one's result."""
    evaluator = case.estimator()
    older, latest = case.two_checkpoints(case.estimator())
    case.evaluate(evaluator, checkpoint_path=older)
    case.damage(older)
    for path, what in ((older, "is damaged"), (f"{latest}9", "is not there")):
        error = case.raised(partial(case.evaluate, evaluator, checkpoint_path=path), Exception)
        case.require(error is not None, f"evaluating {path!r}, which {what}, raised nothing", "an error")


@clauses.should(37, after=(36,), hint="raise expcore.errors.CheckpointCorrupt from the error of reading")
def says_that_a_checkpoint_is_corrupt(case: EstimatorCase) -> None:
    """It raises ``CheckpointCorrupt`` for a damaged checkpoint, so that an evaluator passes it over."""
    trained = case.estimator()
    case.train(trained, steps=2)
    path = trained.latest_checkpoint()
    case.damage(path)
    fresh = case.estimator()
    error = case.raised(lambda: case.evaluate(fresh, checkpoint_path=path), CheckpointCorrupt)
    case.require(error is not None, f"evaluating {path!r}, which is damaged, raised nothing", "an error")


@clauses.must(
    38, after=(25, 26), hint="raise CheckpointCorrupt where there are checkpoints but none can be read"
)
def never_begins_anew_over_damage(case: EstimatorCase) -> None:
    """It refuses to train where none of its checkpoints can be read, and does not begin at step 0."""
    trained = case.estimator()
    for path in case.two_checkpoints(trained):
        case.damage(path)
    fresh = case.estimator()
    error = case.raised(lambda: case.train(fresh, steps=1), Exception)
    case.require(error is not None, "training over damaged checkpoints raised nothing", "an error")


@clauses.should(
    39,
    after=(17, 38),
    page="concepts.md#going-on-after-a-stop",
    hint="restore the one before; rename the damaged one, or pass it over in latest_checkpoint() as well",
)
def goes_on_from_the_newest_that_can_be_read(case: EstimatorCase) -> None:
    """It passes over a newest checkpoint that is damaged, and trains on from the one before.

    From then on its latest checkpoint is the one that was saved last, not the damaged one.
    """
    trained = case.estimator()
    _, latest = case.two_checkpoints(trained)
    case.damage(latest)
    fresh = case.estimator()
    with case.no_error("training after the newest checkpoint was damaged", "step 2 gone on from"):
        case.train(fresh, steps=1)
    case.require_step(fresh, 3, "steps 2 and 5, damage to step 5, and train(steps=1) of a new one")
