"""Writing checkpoints: a flat list of names and arrays in TensorFlow's format, whole or not there at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from expcore.errors import CannotWrite, InvalidType, one_line
from expcore_plugins.estimators.engine.directory import identity, path_of, temporary
from expcore_plugins.estimators.engine.messages import brief
from expcore_plugins.estimators.engine.position import Position
from expcore_plugins.estimators.engine.retention import Retention
from expcore_plugins.estimators.engine.saved import ABOUT_KEY, FORMAT, POSITION_KEY, STEP_KEY, key_of
from expcore_plugins.estimators.engine.snapshot import Snapshot, values_of
from expcore_plugins.estimators.engine.state import LiveState


class CheckpointWriter:
    """Writes ``ckpt-<step>`` at once or beside the next steps, and has old ones deleted.

    Args:
        model_dir: the directory.
        state: what is saved.
        retention: says which checkpoints stay.
    """

    def __init__(self, model_dir: str, state: LiveState, retention: Retention) -> None:
        self._model_dir, self._state, self._retention = model_dir, state, retention
        self._threads: ThreadPoolExecutor | None = None

    def take(
        self, step: int, position: Position, hook_states: Mapping[str, Any], metrics: list[Any]
    ) -> Snapshot:
        """Returns a snapshot of the state.

        Args:
            step: the global step.
            position: where training stands in the input.
            hook_states: the hooks' states by name; JSON.
            metrics: the values of the metrics' variables, over all processes.

        Raises:
            InvalidType: a hook's state is not JSON.
        """
        values, paths = values_of(self._state, metrics)
        about = self._description(paths, position, hook_states)
        return Snapshot(step, values, position.serialized(), about)

    def _description(
        self, paths: Mapping[str, list[str]], position: Position, hook_states: Mapping[str, Any]
    ) -> str:
        for name, state in hook_states.items():
            try:
                json.dumps(state)
            except (TypeError, ValueError) as error:
                raise InvalidType(
                    f"hook {name}: get_state() gave what is not JSON ({one_line(error)}); "
                    "return a dict of plain numbers, strings, lists and dicts"
                ) from error
        return json.dumps(
            {
                "format": FORMAT,
                "variables": paths,
                "passes": position.number,
                "taken": None if position.ended else position.taken,
                "build": self._state.trainable.build_config(),
                "hooks": dict(hook_states),
            }
        )

    def write(self, snapshot: Snapshot, keep: Collection[str]) -> str:
        """Writes a checkpoint and returns its path.

        Args:
            snapshot: what it holds; it gets the checkpoint's identity.
            keep: paths of older checkpoints that must not be deleted.

        Raises:
            CannotWrite: it cannot be written; the older ones are as they were.
        """
        import tensorflow as tf

        path = path_of(self._model_dir, snapshot.step)
        folder = temporary(path)
        try:
            os.makedirs(folder, exist_ok=True)
            _write_tensors(os.path.join(folder, "part"), _tensors(snapshot))
            _publish(os.path.join(folder, "part"), path)
            self._retention.add(path, keep)
        except (tf.errors.OpError, OSError) as error:
            raise CannotWrite(
                f"checkpoint {path!r} cannot be written ({brief(error)}); make room or permissions "
                f"in {self._model_dir!r}; the older checkpoints are as they were"
            ) from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        snapshot.identity = identity(path)
        return path

    def write_beside(self, snapshot: Snapshot, keep: Collection[str]) -> Future[str]:
        """Does the same in a thread, which the end of the process waits for."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(1, thread_name_prefix="expcore-checkpoint")
        return self._threads.submit(self.write, snapshot, keep)


class Pending:
    """A checkpoint that is written beside the next steps.

    Args:
        future: of its path.
        written: called once when the path is fetched.
    """

    def __init__(self, future: Future[str], written: Callable[[str], None]) -> None:
        self._future, self._written = future, written

    def done(self) -> bool:
        """Whether it is written, or failed."""
        return self._future.done()

    def result(self) -> str:
        """Waits for it and returns its path.

        Raises:
            CannotWrite: it could not be written.
        """
        path = self._future.result()
        self._written(path)
        return path


def _tensors(snapshot: Snapshot) -> dict[str, Any]:
    import tensorflow as tf

    tensors = {STEP_KEY: tf.constant(snapshot.step, tf.int64), ABOUT_KEY: tf.constant(snapshot.about)}
    for section, values in snapshot.values.items():
        tensors |= {key_of(section, i): value for i, value in enumerate(values)}
    if snapshot.position is not None:
        tensors[POSITION_KEY] = snapshot.position
    return tensors


def _write_tensors(prefix: str, tensors: Mapping[str, Any]) -> None:
    import tensorflow as tf

    with tf.device("cpu:0"):
        tf.raw_ops.SaveV2(
            prefix=prefix,
            tensor_names=list(tensors),
            shape_and_slices=[""] * len(tensors),
            tensors=list(tensors.values()),
        )


def _publish(part: str, path: str) -> None:
    """Puts the data in their place, then the index, which makes a checkpoint of them.

    An index that is there already belongs to other data: it goes first.
    """
    data = ".data-00000-of-00001"
    for suffix in (".index", data):
        if os.path.exists(path + suffix):
            os.remove(path + suffix)
    for suffix in (data, ".index"):
        os.replace(part + suffix, path + suffix)
