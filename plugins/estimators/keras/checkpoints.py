"""Writing checkpoints: TensorFlow's format and retention, our flat lists inside."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from expcore.cluster import config_value
from expcore.errors import CannotWrite, InvalidType, one_line
from expcore_plugins.estimators.keras.directory import PREFIX, identity, mend_state_file, sweep
from expcore_plugins.estimators.keras.messages import brief
from expcore_plugins.estimators.keras.saved import FORMAT
from expcore_plugins.estimators.keras.state import SECTIONS, LiveState


class CheckpointWriter:
    """Writes ``ckpt-<step>`` and keeps as many as the config says.

    Args:
        model_dir: the directory.
        state: what is saved.
        config: gives ``keep_checkpoint_max`` and ``keep_checkpoint_every_n_hours``.
    """

    def __init__(self, model_dir: str, state: LiveState, config: Any) -> None:
        self._model_dir, self._state = model_dir, state
        self._keep = config_value(config, "keep_checkpoint_max") or None
        self._hours = config_value(config, "keep_checkpoint_every_n_hours") or None
        self._about = _json_state()
        self._checkpoint: Any = None
        self._manager: Any = None

    def save(self, step: int, iterator: Any, hook_states: Mapping[str, Any]) -> str:
        """Writes a checkpoint and returns its path.

        Args:
            step: the global step.
            iterator: the input's iterator; None where it cannot be saved.
            hook_states: the hooks' states by name; JSON.

        Raises:
            InvalidType: a hook's state is not JSON.
            CannotWrite: it cannot be written; the older ones are as they were.
        """
        import tensorflow as tf

        path = os.path.join(self._model_dir, f"{PREFIX}-{step}")
        self._about.value = self._description(hook_states)
        try:
            self._prepare(iterator)
            self._manager.save(checkpoint_number=step)
        except (tf.errors.OpError, OSError) as error:
            self._manager = None  # it may already count what was not written
            sweep(self._model_dir)
            raise CannotWrite(
                f"checkpoint {path!r} cannot be written ({brief(error)}); make room or permissions "
                f"in {self._model_dir!r}; the older checkpoints are as they were"
            ) from error
        self._state.holds = identity(path)
        return path

    def _description(self, hook_states: Mapping[str, Any]) -> str:
        for name, state in hook_states.items():
            try:
                json.dumps(state)
            except (TypeError, ValueError) as error:
                raise InvalidType(
                    f"hook {name}: get_state() gave what is not JSON ({one_line(error)}); "
                    "return a dict of plain numbers, strings, lists and dicts"
                ) from error
        state = self._state
        return json.dumps(
            {
                "format": FORMAT,
                "variables": {name: [n.path for n in state.section(name)] for name in SECTIONS},
                "build": _build_config(state.model),
                "hooks": dict(hook_states),
            }
        )

    def _prepare(self, iterator: Any) -> None:
        import tensorflow as tf

        state = self._state
        if self._manager is None:
            mend_state_file(self._model_dir)
            lists = {name: [n.variable for n in state.section(name)] for name in SECTIONS}
            self._checkpoint = tf.train.Checkpoint(step=state.step, about=self._about, **lists)
            self._manager = tf.train.CheckpointManager(
                self._checkpoint,
                self._model_dir,
                max_to_keep=self._keep,
                keep_checkpoint_every_n_hours=self._hours,
                checkpoint_name=PREFIX,
            )
        if iterator is not None:
            self._checkpoint.iterator = iterator
        elif hasattr(self._checkpoint, "iterator"):
            del self._checkpoint.iterator


def _build_config(model: Any) -> Any:
    """How to build the model without data; None where that cannot be said in JSON."""
    config = model.get_build_config()
    try:
        return json.loads(json.dumps(config))
    except (TypeError, ValueError):
        return None


def _json_state() -> Any:
    import tensorflow as tf

    class About(tf.train.experimental.PythonState):  # type: ignore[misc]
        """A string that is kept in the checkpoint."""

        value = "{}"

        def serialize(self) -> str:
            return self.value

        def deserialize(self, string_value: str) -> None:
            self.value = string_value

    return About()
