"""What an experiment was made of: each argument of its constructor as a read-only property of its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from expcore.calling import describe_type
from expcore.errors import StoppedBySignal
from expcore.host import PluginHost
from expcore.types import Clock, EvalInputFn, InputFn


class Parts:
    """The parts of an experiment, of which ``Experiment`` has the meaning, and how its run is ended.

    The passes work on this much of an experiment, so that they stand below it.

    Attributes:
        timed_out: whether the last schedule ended for lack of news.
        signalled: the signal that asked for the end; None: none did.
    """

    _estimator: Any
    _train_input_fn: InputFn
    _eval_input_fn: EvalInputFn
    _train_steps: int | None
    _eval_steps: int | None
    _train_hooks: list[Any]
    _eval_hooks: list[Any]
    _eval_delay_secs: float
    _continuous_eval_throttle_secs: float
    _eval_every_n_steps: int | None
    _delay_workers_by_global_step: bool
    _export_strategies: tuple[Any, ...]
    _train_steps_per_iteration: int | None
    _saving_listeners: list[Any]
    _plugins: PluginHost
    _clock: Clock
    timed_out: bool
    signalled: int | None

    @property
    def estimator(self) -> Any:
        """The estimator."""
        return self._estimator

    @property
    def config(self) -> Any:
        """The estimator's config; read it with ``expcore.cluster.config_value``."""
        return getattr(self._estimator, "config", None)

    @property
    def model_dir(self) -> str:
        """The estimator's model directory."""
        return str(self._estimator.model_dir)

    @property
    def train_input_fn(self) -> InputFn:
        """The training data."""
        return self._train_input_fn

    @property
    def eval_input_fn(self) -> EvalInputFn:
        """The evaluation data, as given."""
        return self._eval_input_fn

    @property
    def eval_sets(self) -> Mapping[str, InputFn]:
        """The evaluation data by name, the main set first; a single function's name is ""."""
        given = self._eval_input_fn
        return dict(given) if isinstance(given, Mapping) else {"": given}

    @property
    def train_steps(self) -> int | None:
        """Global step at which training is complete; None: no limit."""
        return self._train_steps

    @property
    def eval_steps(self) -> int | None:
        """Batches of one evaluation; None: all."""
        return self._eval_steps

    @property
    def train_hooks(self) -> tuple[Any, ...]:
        """Hooks of every train pass."""
        return tuple(self._train_hooks)

    @property
    def eval_hooks(self) -> tuple[Any, ...]:
        """Hooks of every evaluation."""
        return tuple(self._eval_hooks)

    @property
    def eval_delay_secs(self) -> float:
        """Seconds before the first evaluation of an evaluating schedule."""
        return self._eval_delay_secs

    @property
    def continuous_eval_throttle_secs(self) -> float:
        """Least seconds from the start of one evaluation to the next."""
        return self._continuous_eval_throttle_secs

    @property
    def eval_every_n_steps(self) -> int | None:
        """Least steps between evaluations while training; 0 or None: only at the end."""
        return self._eval_every_n_steps

    @property
    def delay_workers_by_global_step(self) -> bool:
        """Whether workers start at a global step."""
        return self._delay_workers_by_global_step

    @property
    def export_strategies(self) -> tuple[Any, ...]:
        """The exporters."""
        return self._export_strategies

    @property
    def train_steps_per_iteration(self) -> int | None:
        """Steps of one iteration of ``continuous_train_and_evaluate``, as given."""
        return self._train_steps_per_iteration

    @property
    def saving_listeners(self) -> tuple[Any, ...]:
        """Told of each save."""
        return tuple(self._saving_listeners)

    @property
    def plugins(self) -> PluginHost:
        """The plugin host."""
        return self._plugins

    @property
    def clock(self) -> Clock:
        """The clock."""
        return self._clock

    def describe(self) -> dict[str, Any]:
        """Returns what it is made of, for the record: numbers as they are, objects by their names."""
        return {
            "estimator": describe_type(type(self._estimator)),
            "model_dir": self.model_dir,
            "train_steps": self._train_steps,
            "eval_steps": self._eval_steps,
            "eval_every_n_steps": self._eval_every_n_steps,
            "train_steps_per_iteration": self._train_steps_per_iteration,
            "continuous_eval_throttle_secs": self._continuous_eval_throttle_secs,
            "eval_sets": list(self.eval_sets),
            "train_hooks": [describe_type(type(hook)) for hook in self._train_hooks],
            "eval_hooks": [describe_type(type(hook)) for hook in self._eval_hooks],
            "exporters": {e.name: describe_type(type(e)) for e in self._export_strategies},
        }

    def checkpoint_paths(self) -> list[str]:
        """Returns the paths of the checkpoints, oldest first; only the newest if no more are known."""
        listed = getattr(self._estimator, "checkpoints", None)
        if callable(listed):
            return list(listed())
        newest = self._estimator.latest_checkpoint()
        return [] if newest is None else [newest]

    def interrupt(self, signum: int) -> None:
        """Asks for the end of the run, as a signal does: the state is saved, StoppedBySignal is raised."""
        self.signalled = signum

    def check_signal(self) -> None:
        """Raises StoppedBySignal where ``interrupt`` was called."""
        if self.signalled is not None:
            raise StoppedBySignal(self.signalled)
