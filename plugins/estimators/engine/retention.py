"""Which checkpoints stay in a model directory."""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress
from typing import Any

from expcore.cluster import config_value
from expcore.pins import Pins
from expcore.types import Clock
from expcore_plugins.estimators.engine.directory import checkpoints, preserved_at, write_state_file


class Retention:
    """Keeps as many checkpoints as the config says, and writes TensorFlow's state file.

    The newest ``keep_checkpoint_max`` stay (None or 0: all), and of those that would go, the first of every
    ``keep_checkpoint_every_n_hours``, for ever. One that somebody reads, in this process or another, goes
    with a later save.

    Args:
        model_dir: the directory.
        config: gives the two numbers.
        clock: measures how long another machine's reader has been silent.
    """

    def __init__(self, model_dir: str, config: Any, clock: Clock) -> None:
        self._model_dir = model_dir
        self._max = config_value(config, "keep_checkpoint_max") or None
        self._hours = config_value(config, "keep_checkpoint_every_n_hours") or None
        self._pins = Pins(model_dir, clock)
        self._times: dict[str, float] = {}  # of the checkpoints that may go one day, by path, oldest first
        self._preserved_at: float | None = None  # time of the last one that stays for ever

    def add(self, path: str, keep: Collection[str]) -> None:
        """Takes in a checkpoint that was written, and deletes what need not stay any more.

        Args:
            path: the checkpoint.
            keep: paths of others that must stay now.

        Raises:
            OSError, tf.errors.OpError: the state file cannot be written.
        """
        if not self._times:
            self._look()
        self._times.pop(path, None)
        self._times[path] = os.stat(path + ".index").st_mtime
        with self._pins.hold() as pinned:
            gone = self._surplus(pinned | {os.path.basename(p) for p in keep})
            # First the file, then the files: nobody is to be sent to what is being deleted.
            try:
                write_state_file(self._model_dir, self._times, self._preserved_at or 0.0)
            except BaseException:
                self._times = {}  # to be looked at again
                _delete(path)  # a save that failed leaves nothing that nobody would ever delete
                raise
            for old in gone:
                _delete(old)

    def _look(self) -> None:
        """Begins with what is there, as a former process left it."""
        found = [p for p in checkpoints(self._model_dir) if os.path.exists(p + ".index")]
        self._times = {p: os.stat(p + ".index").st_mtime for p in found}
        self._preserved_at = preserved_at(self._model_dir)

    def _surplus(self, keep: Collection[str]) -> list[str]:
        if self._preserved_at is None:  # then the hours count from the oldest
            self._preserved_at = min(self._times.values()) - 1
        gone = []
        for path in list(self._times)[: -self._max] if self._max else ():
            if os.path.basename(path) in keep:
                continue
            time = self._times.pop(path)
            if self._hours is not None and time - self._preserved_at >= 3600 * self._hours:
                self._preserved_at = time
            else:
                gone.append(path)
        return gone


def _delete(path: str) -> None:
    """Removes the index first, without which the rest is no checkpoint."""
    folder, name = os.path.split(path)
    for file in [f"{name}.index", *(f for f in os.listdir(folder or ".") if f.startswith(name + ".data-"))]:
        with suppress(FileNotFoundError):
            os.remove(os.path.join(folder, file))
