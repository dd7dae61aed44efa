"""Promises of an estimator about evaluation: of which checkpoint, on how much, and as a mere reading."""

from __future__ import annotations

from expcore.conformance.estimators.case import (
    EstimatorCase,
    alike,
    checkpoint_files,
    contents,
    files_below,
)
from expcore.conformance.estimators.clauses import clauses


@clauses.must(17, after=(8, 19), hint="write each save to a path of its own; read the one that was asked for")
def evaluates_the_checkpoint_asked_for(case: EstimatorCase) -> None:
    """It evaluates the checkpoint at ``checkpoint_path``, also when there is a newer one."""
    estimator = case.estimator()
    case.train(estimator, steps=2)
    older, wanted = estimator.latest_checkpoint(), case.evaluate(estimator)
    case.train(estimator, steps=3)
    latest = estimator.latest_checkpoint()
    case.require(latest != older, f"checkpoints of steps 2 and 5 are both {latest!r}", "two paths")
    newest = case.evaluate(estimator)
    found = case.evaluate(estimator, checkpoint_path=older)
    case.require_alike("step 2, evaluated when it was the newest and when it was not", wanted, found)
    case.require(not alike(found, newest), f"steps 2 and 5 both give {found}", "each its own")


@clauses.must(18, after=(8, 19), hint="stop after `steps` batches; fewer only where the input ends")
def evaluates_so_many_batches(case: EstimatorCase) -> None:
    """It evaluates ``steps`` batches at most; None: until the input ends.

    The evaluation data have to have more than one batch.
    """
    estimator = case.estimator()
    case.train(estimator, steps=2)
    whole = case.evaluate(estimator, steps=None)
    one = case.evaluate(estimator, steps=1)
    case.require(not alike(one, whole), f"steps=1 and steps=None both give {whole}", "one batch, and all")
    many = case.evaluate(estimator, steps=1000)
    case.require_alike("steps=1000, which is more than there are, and steps=None", many, whole)


@clauses.must(19, after=(7,), hint="begin the input and the metrics anew in every evaluation")
def evaluates_alike_each_time(case: EstimatorCase) -> None:
    """It gives the same result for a checkpoint that is evaluated again, also under another ``name``.

    The name says only where summaries go.
    """
    estimator = case.estimator()
    case.train(estimator, steps=2)
    first = case.evaluate(estimator)
    case.require_alike("the first and the second evaluation", first, case.evaluate(estimator))
    case.require_alike("an evaluation and one named 'other'", first, case.evaluate(estimator, name="other"))


@clauses.should(20, after=(2, 4), hint="raise expcore.errors.NotTrained, which is a ValueError")
def refuses_to_evaluate_without_a_checkpoint(case: EstimatorCase) -> None:
    """It refuses to evaluate without a checkpoint, with a ValueError."""
    estimator = case.estimator()
    error = case.raised(lambda: case.evaluate(estimator), ValueError)
    case.require(error is not None, "evaluate() without a checkpoint raised nothing", "ValueError")


@clauses.must(21, after=(7, 24), hint="evaluate() reads checkpoints; only train() writes them")
def evaluating_leaves_checkpoints_alone(case: EstimatorCase) -> None:
    """It writes, changes and removes no checkpoint when it evaluates.

    An evaluator works beside the trainer, in the trainer's directory.
    """
    older, latest = case.two_checkpoints(case.estimator())
    evaluator = case.estimator()
    place = [file for path in (older, latest) for file in checkpoint_files(path)]
    place = place or files_below(evaluator.model_dir)
    before = contents(place)
    case.evaluate(evaluator)
    case.evaluate(evaluator, checkpoint_path=older)
    now = evaluator.latest_checkpoint()
    case.require(now == latest, f"the latest checkpoint was {latest!r} and is {now!r}", "the same")
    gone = [str(path) for path in place if not path.is_file()]
    case.require(not gone, f"it removed {gone}", "the files of both checkpoints")
    case.require(contents(place) == before, "it changed the files of a checkpoint", "a mere reading")


@clauses.must(22, after=(17,), hint="evaluate with a copy of the state, or put the training's state back")
def evaluating_leaves_the_training_where_it_is(case: EstimatorCase) -> None:
    """It trains on from where it was, not from the checkpoint that was evaluated in between."""
    estimator = case.estimator()
    older, _ = case.two_checkpoints(estimator)
    case.evaluate(estimator, checkpoint_path=older)
    case.train(estimator, steps=2)
    case.require_step(estimator, 7, "training to step 5, an evaluation of step 2, and train(steps=2)")


@clauses.must(23, after=(9, 24), hint="look into the directory each time; keep no list of checkpoints")
def sees_what_another_process_saved(case: EstimatorCase) -> None:
    """It sees and evaluates checkpoints that another process saved after it was made."""
    evaluator, trainer = case.estimator(), case.estimator()
    for steps in (3, 5):
        case.train(trainer, max_steps=steps)
        path, told = trainer.latest_checkpoint(), f"the trainer saved step {steps}, and the evaluator"
        found = evaluator.latest_checkpoint()
        case.require(found == path, f"{told} has {found!r} for the latest", repr(path))
        step = case.step(evaluator)
        case.require(step == steps, f"{told} evaluated step {step}", f"step {steps}")
