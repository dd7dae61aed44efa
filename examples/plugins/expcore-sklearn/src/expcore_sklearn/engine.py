"""The engine of the training loop: one step is one partial_fit on one batch."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from expcore.errors import InvalidInput, one_line
from expcore.loop import Advance
from expcore.types import InputFn, Metrics
from expcore_sklearn import checkpoints
from expcore_sklearn.checkpoints import State
from expcore_sklearn.inputs import Batch, batches
from expcore_sklearn.models import SUBJECT, Recipe


class Engine:
    """Makes steps and writes checkpoints (``expcore.loop.Engine``).

    Args:
        model: an unfitted model, or with ``state`` that of a checkpoint.
        recipe: what the model was made by.
        model_dir: where checkpoints go.
        batch_size: examples in a batch that is cut from arrays.
        measure: gives the metrics of a model on a batch.
        keep: how many checkpoints are kept; 0 or None: all.
        state: what the checkpoint says; None: training begins.
    """

    def __init__(
        self,
        model: Any,
        recipe: Recipe,
        model_dir: str,
        batch_size: int,
        measure: Callable[[Any, Batch], Metrics],
        keep: int | None,
        state: State | None,
    ) -> None:
        self.model, self.model_dir = model, model_dir
        self.step = state.step if state else 0
        self._first = {} if self.step or recipe.classes is None else {"classes": recipe.classes}
        self._batch_size, self._measure, self._keep = batch_size, measure, keep
        self._taken = state.taken if state else 0
        self._hooks: Mapping[str, Any] = state.hooks if state else {}
        self._input_fn: InputFn | None = None
        self._batches: Iterator[Batch] = iter(())
        self._last: Batch | None = None
        self._goes_on = False

    def feed(self, input_fn: InputFn) -> None:
        """Goes on with the data, or begins anew where nothing is left of it or it is another."""
        skip = self._taken if self._input_fn is None else 0
        self._goes_on = input_fn is self._input_fn or skip > 0
        if input_fn is not self._input_fn:
            self._begin(input_fn)
            self._taken = sum(1 for _ in islice(self._batches, skip))

    def _begin(self, input_fn: InputFn) -> None:
        self._input_fn, self._taken = input_fn, 0
        self._batches = batches(input_fn, self._batch_size)

    def advance(self, n: int) -> Advance:
        """Makes at most ``n`` steps."""
        done = self._make(n)
        if not done and self._goes_on and self._input_fn is not None:
            self._begin(self._input_fn)
            done = self._make(n)
        self._goes_on = False
        return Advance(done, done == n, self._metrics)

    def _make(self, n: int) -> int:
        done = 0
        for batch in islice(self._batches, n):
            self._fit(batch)
            done += 1
        self.step += done
        self._taken += done
        return done

    def _fit(self, batch: Batch) -> None:
        try:
            self.model.partial_fit(*batch, **self._first)
        except ValueError as error:
            raise InvalidInput(
                f"{SUBJECT}: the model cannot learn from a batch: {one_line(error)}"
            ) from error
        self._first, self._last = {}, batch

    def _metrics(self) -> Metrics:
        return {} if self._last is None else self._measure(self.model, self._last)

    def hook_states(self) -> Mapping[str, Any]:
        """The hooks' states of the restored checkpoint."""
        return self._hooks

    def save(self, hook_states: Mapping[str, Any]) -> str:
        """Writes a checkpoint, and deletes those that are too many."""
        path = checkpoints.write(self.model_dir, self.model, State(self.step, self._taken, hook_states))
        # As a restart would find them, whatever the hooks go on to do with what they gave.
        self._hooks = json.loads(json.dumps(hook_states))
        if self._keep:
            for old in checkpoints.paths(self.model_dir)[: -self._keep]:
                checkpoints.delete(old)
        return path
