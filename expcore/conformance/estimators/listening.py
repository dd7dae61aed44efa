"""Promises of an estimator towards saving listeners, and in the passes that schedules are written in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from expcore.calling import accepts, names
from expcore.conformance.estimators.case import EstimatorCase
from expcore.conformance.estimators.clauses import clauses
from expcore.conformance.setting import small_experiment
from expcore.types import Checkpoint

FORMS = ("saving_listeners",)


class Listener:
    """A saving listener that notes what it is told of.

    Args:
        act: called after a save with its step; what it returns is the answer.
    """

    def __init__(self, act: Any = None) -> None:
        self.act = act
        self.told: list[tuple[str, Any, Any]] = []

    def begin(self) -> None:
        """Notes it."""
        self.told.append(("begin", None, None))

    def before_save(self, session: Any, global_step: int) -> None:
        """Notes it."""
        self.told.append(("before_save", session, global_step))

    def after_save(self, session: Any, global_step: int) -> Any:
        """Notes it, and answers."""
        self.told.append(("after_save", session, global_step))
        return self.act(int(global_step)) if self.act is not None else None

    def end(self, session: Any, global_step: int) -> None:
        """Notes it."""
        self.told.append(("end", session, global_step))


@clauses.must(
    47,
    after=(8,),
    forms=FORMS,
    hint="call begin, before_save, after_save, end of each listener; or do without **kwargs",
)
def tells_listeners_of_each_save(case: EstimatorCase) -> None:
    """It tells a saving listener of the beginning, of each save before and after it, and of the end.

    It is given the true global step; an estimator without sessions gives None for the session.
    """
    estimator = case.estimator()
    case.train(estimator, steps=2)
    listener = Listener()
    case.train(estimator, steps=3, saving_listeners=[listener])
    found = [(name, step) for name, _, step in listener.told]
    wanted = [("begin", None), ("before_save", 5), ("after_save", 5), ("end", 5)]
    # Some save where training begins as well; then there are two saves, which is no lie.
    first = [("before_save", 2), ("after_save", 2)]
    good = found in (wanted, [*wanted[:1], *first, *wanted[1:]])
    told = f"trained from step 2 to 5, it was told {found}"
    if not names(estimator.train, "saving_listeners"):
        told += "; train() takes **kwargs and so is given saving_listeners"
    case.require(good, told, f"{wanted}, or a train() that takes neither **kwargs nor saving_listeners")


@clauses.must(48, after=(47, 22), forms=FORMS, hint="write the checkpoint whole, then call after_save")
def listeners_find_what_was_saved(case: EstimatorCase) -> None:
    """It tells listeners of a save when that is the latest checkpoint and can be evaluated there and then."""
    estimator, found = case.estimator(), []

    def look(step: int) -> None:
        found.append((step, case.step(estimator) if estimator.latest_checkpoint() else None))

    case.train(estimator, steps=3, saving_listeners=[Listener(look)])
    wrong = [pair for pair in found if pair[0] != pair[1]]
    told = f"told of the saves at the steps {[step for step, _ in found]}, a listener found {found}"
    case.require(found and not wrong, told, "the step told of in the latest checkpoint")


@clauses.must(
    49,
    after=(31, 47),
    forms=FORMS,
    capability="checkpoint_rhythm",
    hint="end training where a listener's after_save returns True",
)
def listeners_can_end_training(case: EstimatorCase) -> None:
    """It ends training where a listener's ``after_save`` returns True, and goes on where it returns None."""
    estimator = case.estimator(save_checkpoints_steps=2)
    case.train(estimator, steps=7, saving_listeners=[Listener()])
    case.require_step(estimator, 7, "train(steps=7) with a listener that returns None")
    case.train(estimator, steps=5, saving_listeners=[Listener(lambda step: step == 9)])
    case.require_step(
        estimator, 9, "training to step 7, saves every 2 steps, True from a listener at step 9,"
    )


@clauses.must(
    50,
    after=(4, 8, 21, 22, 40, 42, 44, 48),
    page="writing-a-plugin.md#a-schedule",
    hint="end at max_steps; take hooks (supports_hook) or no saving_listeners, so that it can be interrupted",
)
def works_under_an_experiment(case: EstimatorCase) -> None:
    """It works under an experiment: every save is recorded, and can be evaluated while it trains.

    One that takes neither hooks nor listeners is trained in parts.
    """
    estimator = case.estimator()
    experiment = small_experiment(
        case.folder,
        estimator,
        train_input_fn=case.train_data,
        eval_input_fn=case.eval_data,
        train_steps=7,
    )
    seen = []

    def look(checkpoint: Checkpoint) -> None:
        result = experiment.evaluate_pass(checkpoint.path)
        seen.append(result["global_step"] if result else None)

    end = experiment.train_pass(save_every=3, on_save=look)
    steps = [save.step for save in experiment.history.saves]
    # An estimator with listeners and without hooks cannot be asked for a save in between.
    plain = not callable(getattr(estimator, "supports_hook", None))
    silent = plain and accepts(estimator.train, "saving_listeners")
    wanted = [7] if silent else [3, 6, 7]
    told = f"saves were wanted every 3 until 7, and recorded at {steps}"
    case.require(_fits(steps, wanted), told, str(wanted))
    case.require(seen == wanted[:-1], f"while it trained, evaluations were of {seen}", str(wanted[:-1]))
    case.require(_fits([end.step], [7]), f"training is recorded to end at step {end.step}", "7")
    case.require_step(estimator, 7, "a training under an experiment with train_steps=7")


def _fits(found: Sequence[int | None], wanted: Sequence[int]) -> bool:
    """Whether the recorded steps are right; None where nobody told the experiment."""
    return len(found) == len(wanted) and all(f in (None, w) for f, w in zip(found, wanted, strict=True))
