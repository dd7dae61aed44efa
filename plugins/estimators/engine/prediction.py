"""Predicting: one NumPy prediction an example, from a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from expcore.errors import InvalidArgument, listing
from expcore.loop import TrainingRun, check_hooks
from expcore.reading import reading_run, told
from expcore.types import Clock
from expcore_plugins.estimators.engine.failures import ExplainedBatches
from expcore_plugins.estimators.engine.inputs import open_input
from expcore_plugins.estimators.engine.saved import SavedCheckpoint
from expcore_plugins.estimators.engine.state import LiveState
from expcore_plugins.estimators.engine.steps import StepBuilder
from expcore_plugins.estimators.engine.trainable import MODEL


class Predictor:
    """Predicts with checkpoints of a model.

    Args:
        state: the live variables.
        steps: builds the compiled function.
        clock: given to hooks.
    """

    def __init__(self, state: LiveState, steps: StepBuilder, clock: Clock) -> None:
        self._state, self._steps, self._clock = state, steps, clock

    def run(
        self,
        saved: SavedCheckpoint,
        input_fn: Callable[[], Any],
        keys: Collection[str] | None,
        hooks: Sequence[Any],
        model_dir: str,
    ) -> Iterator[Any]:
        """Returns an iterator over predictions; input and checkpoint are checked at once.

        The checkpoint's values are in the model only while a batch is computed, so that training and
        evaluating may go on between two predictions.
        """
        check_hooks(hooks)
        opened = open_input(input_fn)
        function = self._steps.predict(opened.spec)
        saved.check(MODEL, self._state.section(MODEL))
        run = reading_run(saved.step, self._state.trainable.native, model_dir, self._clock)
        explained = ExplainedBatches(input_fn, self._state.trainable.name)
        return self._examples(saved, iter(opened.dataset), function, keys, run, hooks, explained)

    def _examples(
        self,
        saved: SavedCheckpoint,
        batches: Iterator[Any],
        function: Callable[[Any], Any],
        keys: Collection[str] | None,
        run: TrainingRun,
        hooks: Sequence[Any],
        explained: ExplainedBatches,
    ) -> Iterator[Any]:
        with told(run, hooks):
            while True:
                with explained:
                    batch = next(batches, None)
                if batch is None:
                    return
                with explained, self._state.holding(saved):
                    outputs = _chosen(function(batch), keys)
                yield from _one_by_one(outputs)


def _chosen(outputs: Any, keys: Collection[str] | None) -> Any:
    if keys is None:
        return outputs
    names = [keys] if isinstance(keys, str) else list(keys)
    known = list(outputs) if isinstance(outputs, Mapping) else []
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InvalidArgument(
            f"predict: predict_keys has {listing(unknown)}; the model's outputs are {listing(known)}"
        )
    return {name: outputs[name] for name in names}


def _one_by_one(outputs: Any) -> Iterator[Any]:
    import tensorflow as tf

    arrays = [tensor.numpy() for tensor in tf.nest.flatten(outputs)]
    for i in range(len(arrays[0])):
        yield tf.nest.pack_sequence_as(outputs, [array[i] for array in arrays])
