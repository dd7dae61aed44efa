"""Follow: a process that trains and saves, or one that evaluates what the other saves; both note times."""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress
from typing import Any

from benchmarks import data, models
from benchmarks.case import Case
from benchmarks.peers import own
from benchmarks.peers.loops import fused
from benchmarks.peers.orbits import evaluator_of
from benchmarks.peers.session import Place

PEERS = ("checkpoints_iterator", "orbit", "expcore")
EVERY_SECS = 1.7  # from save to save: not a whole second, as the peers look once a second
STEPS = 10  # from save to save
_PATIENCE = 60  # seconds without a checkpoint after which an evaluator gives up


class Complete(Exception):
    """The last step was noted: the way out of loops that know no end."""


class Notes:
    """Times by global step.

    Args:
        last: the step after which an evaluator is done.
    """

    def __init__(self, last: int) -> None:
        self.at: dict[int, float] = {}
        self._last = last

    def note(self, step: int) -> None:
        """Notes now, unless the step was noted before."""
        self.at.setdefault(step, time.time())

    def check(self) -> None:
        """Raises Complete where the last step was noted."""
        if self._last in self.at:
            raise Complete


class Saving:
    """A hook that has a checkpoint saved every so many seconds, and notes when it is there."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes

    def next_step(self, step: int) -> int:
        """Returns the step of the next save."""
        return step - step % STEPS + STEPS

    def after_steps(self, run: Any) -> None:
        """Waits and asks for a save."""
        time.sleep(EVERY_SECS)
        run.request_save()

    def after_save(self, run: Any, checkpoint_path: str) -> None:
        """Notes it."""
        self._notes.note(run.step)


def _experiment(case: Case, place: Place, saves: int, hooks: list[Any]) -> Any:
    import expcore

    return expcore.Experiment(
        own.make(case, place),
        lambda: data.training(case, place.data),
        lambda: data.evaluation(case, place.data),
        train_steps=saves * STEPS,
        eval_steps=data.EVAL_BATCHES,
        train_hooks=hooks,
        continuous_eval_throttle_secs=0,
    )


def train_expcore(case: Case, place: Place, saves: int, notes: Notes) -> None:
    """Trains by the schedule ``train``."""
    _experiment(case, place, saves, [Saving(notes)]).train()


def evaluate_expcore(case: Case, place: Place, saves: int, notes: Notes) -> None:
    """Evaluates by the schedule ``continuous_eval``; a result that the predicate sees is recorded."""

    def seen(result: Any) -> bool:
        if result:
            notes.note(result["global_step"])
        return True

    _experiment(case, place, saves, []).continuous_eval(continuous_eval_predicate_fn=seen)


class _Saved:
    """A model with the tf.train.CheckpointManager that both sides of a hand-written pair use."""

    def __init__(self, case: Case, place: Place) -> None:
        import tensorflow as tf

        self.model = models.compiled(case)
        self.model.optimizer.build(self.model.trainable_variables)
        self.step = tf.Variable(0, dtype=tf.int64)
        self.checkpoint = tf.train.Checkpoint(
            model=self.model, optimizer=self.model.optimizer, step=self.step
        )
        self.manager = tf.train.CheckpointManager(self.checkpoint, place.own, max_to_keep=5)


def train_by_hand(case: Case, place: Place, saves: int, notes: Notes) -> None:
    """Trains by a loop, as slowly as the other."""
    import tensorflow as tf

    saved = _Saved(case, place)
    loop = fused(saved.model.train_step, case.jit)
    iterator = iter(data.training(case, place.data))
    for n in range(1, saves + 1):
        loop(iterator, tf.constant(STEPS))
        time.sleep(EVERY_SECS)
        saved.step.assign(n * STEPS)
        saved.manager.save(checkpoint_number=n * STEPS)
        notes.note(n * STEPS)


def evaluate_by_hand(case: Case, place: Place, _saves: int, notes: Notes) -> None:
    """Evaluates by a loop over ``tf.train.checkpoints_iterator``."""
    import tensorflow as tf

    saved = _Saved(case, place)
    loop = fused(saved.model.test_step, case.jit)
    dataset = data.evaluation(case, place.data)
    for path in tf.train.checkpoints_iterator(place.own, timeout=_PATIENCE):
        saved.checkpoint.restore(path).expect_partial()
        saved.model.reset_metrics()
        loop(iter(dataset), tf.constant(data.EVAL_BATCHES))
        _ = {name: float(value) for name, value in saved.model.get_metrics_result().items()}
        notes.note(int(saved.step))
        notes.check()


def evaluate_orbit(case: Case, place: Place, _saves: int, notes: Notes) -> None:
    """Evaluates by ``evaluate_continuously``."""
    import orbit

    saved = _Saved(case, place)

    def evaluated(_: Any) -> None:
        notes.note(int(saved.step))
        notes.check()

    orbit.Controller(
        global_step=saved.step,
        evaluator=evaluator_of(saved.model, data.evaluation(case, place.data), case.jit),
        eval_actions=[evaluated],
        checkpoint_manager=saved.manager,
    ).evaluate_continuously(data.EVAL_BATCHES, timeout=_PATIENCE)


ROLES = {
    ("train", "checkpoints_iterator"): train_by_hand,
    ("train", "orbit"): train_by_hand,
    ("train", "expcore"): train_expcore,
    ("evaluate", "checkpoints_iterator"): evaluate_by_hand,
    ("evaluate", "orbit"): evaluate_orbit,
    ("evaluate", "expcore"): evaluate_expcore,
}


def main() -> None:
    """Prints the times; the arguments are role, peer, case, number of saves, and the two folders."""
    role, peer, given, saves, folder, model_dir = sys.argv[1:]
    notes = Notes(int(saves) * STEPS)
    with suppress(Complete):
        ROLES[role, peer](Case(**json.loads(given)), Place(folder, model_dir), int(saves), notes)
    print(json.dumps(notes.at))


if __name__ == "__main__":
    main()
