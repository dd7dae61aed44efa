"""Keras callbacks as a hook: epochs, batches and stop_training over the steps of the training loop."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Any

from expcore.errors import InvalidHook
from expcore.types import Run

_LOG = logging.getLogger(__name__)

_BATCH_METHODS = ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end")


def is_callback(hook: Any) -> bool:
    """Whether it is a ``keras.callbacks.Callback``."""
    keras = sys.modules.get("keras")  # not imported: then no object can be one
    return keras is not None and isinstance(hook, keras.callbacks.Callback)


class Callbacks:
    """Gives Keras callbacks the moments that they know from ``fit``.

    An epoch is ``steps_per_epoch`` global steps, so that its number goes on after a restart; an epoch that
    the end of a train() call cuts goes on in the next one. Without ``steps_per_epoch`` it is what one
    train() call makes of its input, at most one pass, and its number counts the calls that saved.

    Logs are the run's metrics, which are means over the window of ``log_step_count_steps``, not over the
    epoch; one mapping is handed to all callbacks of an epoch's end, as in ``fit``. A callback that wants
    every batch makes training go in single steps, which is said in the log.

    Args:
        callbacks: the callbacks, in their order.
        steps_per_epoch: steps; None: a train() call is an epoch.

    Raises:
        InvalidHook: a callback monitors a validation metric, which there is none of.
    """

    def __init__(self, callbacks: Sequence[Any], steps_per_epoch: int | None) -> None:
        for callback in callbacks:
            _check(callback)
        self._callbacks, self._per_epoch = list(callbacks), steps_per_epoch
        self._by_batch = [c for c in callbacks if _wants_batches(c)]
        self._epoch = 0
        self._open = False
        self._step = self._epoch_start = 0
        self._run: Any = None
        self._logs: dict[str, Any] = {}

    def begin(self, run: Run) -> None:
        """Starts the training for the callbacks."""
        self._run, self._step = run, run.step
        per = self._per_epoch
        epochs = 1 if per is None or run.until is None else -(-run.until // per)
        run.model.stop_training = False
        for callback in self._callbacks:
            callback.set_params({"verbose": 0, "epochs": epochs, "steps": per})
            callback.set_model(run.model)
        self._tell("on_train_begin", {})
        for callback in self._by_batch:
            _LOG.info("callback %s wants every batch: training goes in single steps", _name(callback))

    def get_state(self) -> dict[str, int]:
        """Returns the number of the epoch that the next train() call begins."""
        return {"epoch": self._epoch + 1}

    def set_state(self, state: dict[str, int]) -> None:
        """Takes the number of the epoch over; with ``steps_per_epoch`` the global step says it."""
        self._epoch = int(state["epoch"])

    def next_step(self, step: int) -> int | None:
        """Begins the epoch and the batch that the next steps belong to; says where the next stop is."""
        # Asked before each call of the engine, and only if there is one: the moment before the next step.
        if not self._open:
            self._open, self._epoch_start = True, step
            if self._per_epoch is not None:
                self._epoch = step // self._per_epoch
                self._epoch_start = self._epoch * self._per_epoch
            self._tell("on_epoch_begin", self._epoch, {})
        if self._by_batch:
            self._tell("on_train_batch_begin", step - self._epoch_start, {})
            return step + 1
        return None if self._per_epoch is None else self._epoch_start + self._per_epoch

    def after_steps(self, run: Run) -> None:
        """Ends the batch, and the epoch where it is complete."""
        if run.step > self._step:
            self._step = run.step
            self._logs = dict(run.metrics)
            if self._by_batch:
                self._tell("on_train_batch_end", run.step - self._epoch_start - 1, self._logs)
        if self._open and self._per_epoch is not None and run.step >= self._epoch_start + self._per_epoch:
            self._end_epoch()

    def end(self, run: Run) -> None:
        """Ends the epoch that is a train() call, and the training."""
        if self._open and self._per_epoch is None and self._step > self._epoch_start:
            self._end_epoch()
        self._tell("on_train_end", self._logs)

    def _end_epoch(self) -> None:
        self._open = False
        self._logs = dict(self._logs)
        self._tell("on_epoch_end", self._epoch, self._logs)

    def _tell(self, method: str, *args: Any) -> None:
        for callback in self._callbacks:
            try:
                getattr(callback, method)(*args)
            except Exception as error:
                error.add_note(f"raised in {method}() of the Keras callback {_name(callback)}")
                raise
            if self._run.model.stop_training:
                self._run.request_stop(f"asked by {_name(callback)}")


def adapted(hooks: Sequence[Any], steps_per_epoch: int | None) -> list[Any]:
    """Returns the hooks with all callbacks among them as one hook, in the first one's place."""
    callbacks = [hook for hook in hooks if is_callback(hook)]
    if not callbacks:
        return list(hooks)
    first = next(i for i, hook in enumerate(hooks) if is_callback(hook))
    rest = [hook for hook in hooks if not is_callback(hook)]
    return [*rest[:first], Callbacks(callbacks, steps_per_epoch), *rest[first:]]


def _check(callback: Any) -> None:
    monitored = getattr(callback, "monitor", None)
    # ModelCheckpoint has a monitor that it looks at only where it keeps the best.
    used = getattr(callback, "save_best_only", True)
    if used and isinstance(monitored, str) and monitored.startswith("val_"):
        raise InvalidHook(
            f"callback {_name(callback)}: it monitors {monitored!r}, and training has no validation of its "
            "own; use the hook 'early_stopping', which looks at the recorded evaluations, or monitor a "
            "training metric such as 'loss'"
        )


def _wants_batches(callback: Any) -> bool:
    import keras

    def own(method: str) -> bool:
        function = getattr(callback, method)
        return getattr(function, "__func__", function) is not getattr(keras.callbacks.Callback, method)

    return any(map(own, _BATCH_METHODS))


def _name(callback: Any) -> str:
    return type(callback).__qualname__
