"""The training input of a coordinator: an iterator in each worker, whose positions nobody keeps."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from expcore.calling import describe
from expcore.errors import InvalidInput
from expcore_plugins.estimators.engine import shuffles
from expcore_plugins.estimators.engine.coordinator import Coordinator
from expcore_plugins.estimators.engine.position import Position
from expcore_plugins.estimators.engine.saved import SavedCheckpoint

_LOG = logging.getLogger(__name__)


class WorkerData(Position):
    """What ``Position`` is to a single process.

    Each worker reads all of the data from their start, in an order of its own where they are shuffled without
    a seed: TensorFlow's graph-level seed is not set, since all would then read the same.

    Args:
        coordinator: makes the iterators.
    """

    def __init__(self, coordinator: Coordinator) -> None:
        super().__init__(None)
        self._coordinator = coordinator
        self._certain: Any = None  # the input function of which that was said

    def _begin(self) -> None:
        graph = self._graph()
        if shuffles.made_by_python(graph):
            raise InvalidInput(
                f"input function {describe(self.input_fn)}: Python makes its batches, which workers cannot "
                "run; return a dataset of TensorFlow's own operations"
            )
        if shuffles.order_is_certain(graph) and self.input_fn is not self._certain:
            self._certain = self.input_fn
            _LOG.warning(
                "input function %s does not shuffle, or with a seed: all workers read the same rows in the "
                "same order; shuffle without a seed, so that each has an order of its own",
                describe(self.input_fn),
            )
        self.iterator = self._coordinator.iterators(self._input.dataset)
        self.ended, self.taken = False, None

    def _policy(self) -> int:
        """Whatever state there is: no position is saved."""
        import tensorflow as tf

        return int(tf.data.experimental.ExternalStatePolicy.IGNORE.value)

    def open(self, input_fn: Callable[..., Any]) -> None:
        """Goes on with the data, or begins anew where they ended or are another function's."""
        import tensorflow as tf

        tf.random.set_seed(None)
        super().open(input_fn)

    def probe(self) -> None:
        """Says once that positions are not saved."""
        if not self._told:
            self._told = True
            _LOG.info(
                "each worker reads the data of %s by itself: after a restart they begin anew",
                describe(self.input_fn),
            )

    def serialized(self) -> Any:
        """None: no position is saved."""
        return None

    def restore(self, saved: SavedCheckpoint) -> None:
        """Begins anew: there is no position."""
