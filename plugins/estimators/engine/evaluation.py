"""Evaluating: the compiled loop over an evaluation's input, with hooks, as a pure read of the training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Thread
from typing import Any
from weakref import WeakKeyDictionary

from expcore.calling import describe
from expcore.errors import InvalidInput
from expcore.loop import Advance, check_hooks
from expcore.reading import reading_run, told
from expcore.rhythm import Pace
from expcore.types import Clock
from expcore_plugins.estimators.engine.failures import ExplainedBatches
from expcore_plugins.estimators.engine.kept import KeptInputs
from expcore_plugins.estimators.engine.saved import SavedCheckpoint
from expcore_plugins.estimators.engine.seeds import generators_kept
from expcore_plugins.estimators.engine.state import LiveState
from expcore_plugins.estimators.engine.steps import Loop, StepBuilder


class Evaluator:
    """Evaluates checkpoints of a model; one for the life of an estimator.

    Args:
        state: the live variables.
        steps: builds the compiled loop.
        clock: measures the pace.
    """

    def __init__(self, state: LiveState, steps: StepBuilder, clock: Clock) -> None:
        self._state, self._steps, self._clock = state, steps, clock
        self._inputs = KeptInputs()
        self._paces: WeakKeyDictionary[Any, Pace] = WeakKeyDictionary()  # by dataset

    @generators_kept()
    def run(
        self,
        saved: SavedCheckpoint,
        input_fn: Callable[[], Any],
        limit: int | None,
        hooks: Sequence[Any],
        model_dir: str,
    ) -> dict[str, float]:
        """Returns the metrics of a checkpoint over at most ``limit`` batches.

        Raises:
            InvalidType, InvalidInput: the input cannot be used, is empty, or never ends and has no limit.
            InvalidHook: an object in ``hooks`` is not a hook.
            NotCompiled: the model has no loss.
            CheckpointCorrupt: the checkpoint cannot be read.
            ModelMismatch: it is of another model.
        """
        check_hooks(hooks)
        state = self._state
        opened = self._inputs.open(input_fn)
        _check_ends(opened.dataset, limit, input_fn)
        loop = self._steps.test(opened.spec)
        with state.holding(saved):
            run = reading_run(saved.step, state.trainable.native, model_dir, self._clock)
            with told(run, hooks):
                state.trainable.reset_metrics()
                iterators = [iter(opened.dataset)]
                pace = self._paces.setdefault(opened.dataset, Pace())
                with ExplainedBatches(input_fn, state.trainable.name):
                    made = self._all(loop, iterators[0], limit, pace)
                # To destroy one takes milliseconds, as its threads end: beside whatever comes next.
                Thread(target=iterators.clear, name="expcore-iterator").start()
                if not made.done:
                    raise InvalidInput(
                        f"input function {describe(input_fn)} gave no batch to evaluate; return data that is "
                        "not empty"
                    )
                run.made(made)
                run.request_stop("steps" if made.more else "input ended")
            return dict(run.metrics)

    def _all(self, loop: Loop, iterator: Any, limit: int | None, pace: Pace) -> Advance:
        """Runs calls of about a second until the limit or the end, so that signals are served."""
        done, more = 0, True
        logs: Callable[[], Any] = dict
        while more and (limit is None or done < limit):
            n = pace.longest_call()
            start = self._clock.monotonic()
            made = loop(iterator, n if limit is None else min(n, limit - done))
            pace.measured(self._clock.monotonic() - start, made.done)
            if made.done:
                done, logs = done + made.done, made.logs
            more = made.more
        return Advance(done, more, logs)


def _check_ends(dataset: Any, limit: int | None, input_fn: Callable[[], Any]) -> None:
    """Refuses what is known never to end; a generator without end cannot be known."""
    import tensorflow as tf

    if limit is None and int(dataset.cardinality()) == tf.data.INFINITE_CARDINALITY:
        raise InvalidInput(
            f"input function {describe(input_fn)}: its dataset repeats without end and steps is None, so the "
            "evaluation would never end; give steps= (eval_steps= of an Experiment), or data that ends"
        )
