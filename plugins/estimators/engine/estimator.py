"""What the estimators on TensorFlow have in common: training, evaluating, predicting and restoring."""

from __future__ import annotations

import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Self

from expcore.calling import describe
from expcore.clock import RealClock
from expcore.cluster import RunConfig, config_value
from expcore.errors import ClusterError, ExpcoreError, InvalidArgument, InvalidHook, NotTrained
from expcore.loop import SaveRhythm, TrainingLoop, check_hooks
from expcore.types import Clock, InputFn, is_hook
from expcore_plugins.estimators.engine import directory
from expcore_plugins.estimators.engine.best import BestCheckpoint
from expcore_plugins.estimators.engine.checkpoints import CheckpointWriter
from expcore_plugins.estimators.engine.coordinator import Coordinator
from expcore_plugins.estimators.engine.evaluation import Evaluator
from expcore_plugins.estimators.engine.inputs import ONE
from expcore_plugins.estimators.engine.joining import (
    agreed_seed,
    coordinated,
    is_coordinated,
    is_synchronous,
    joined,
    mirrored,
    pipeline_of,
)
from expcore_plugins.estimators.engine.position import Position
from expcore_plugins.estimators.engine.prediction import Predictor
from expcore_plugins.estimators.engine.replicas import Alone, NotJoined
from expcore_plugins.estimators.engine.retention import Retention
from expcore_plugins.estimators.engine.saved import SavedCheckpoint, step_of_newest
from expcore_plugins.estimators.engine.settings import (
    agreed_model_dir,
    check_positive,
    check_strategy,
    check_trains_alone,
    config_with,
)
from expcore_plugins.estimators.engine.state import LiveState
from expcore_plugins.estimators.engine.steps import StepBuilder
from expcore_plugins.estimators.engine.summaries import EvaluationSummaries
from expcore_plugins.estimators.engine.trainable import MODEL, Trainable
from expcore_plugins.estimators.engine.training import TrainingEngine
from expcore_plugins.estimators.engine.warm_start import WarmStart, warm_start_of
from expcore_plugins.estimators.engine.worker_data import WorkerData
from expcore_plugins.estimators.engine.workers import Workers

_LOG = logging.getLogger(__name__)


class EngineEstimator(ABC):
    """An estimator whose model the engine trains; what it brings is ``_make_trainable``.

    Args:
        model_dir: the model directory; None: ``config.model_dir``, or else a temporary one, which is said
            in the log.
        config: a RunConfig or another object with some of its attributes; None: ``RunConfig()``.
        clock: gives time to the training loop and hooks; None: the real one.
        async_checkpoints: whether checkpoints are written beside the next steps.
        warm_start: where the variables of a model without a checkpoint begin: a WarmStart, its parameters as
            a mapping, or the path alone; None: as the model was made.

    Raises:
        InvalidArgument, InvalidType: one of these is something else.
    """

    def __init__(
        self,
        model_dir: str | os.PathLike[str] | None,
        config: Any,
        *,
        clock: Clock | None,
        async_checkpoints: bool,
        warm_start: Any,
    ) -> None:
        config = RunConfig() if config is None else config
        self._subject = type(self).__name__
        self._warm_start: WarmStart | None = warm_start_of(self._subject, warm_start)
        if not isinstance(async_checkpoints, bool):
            raise InvalidArgument(
                f"{self._subject}: async_checkpoints is {async_checkpoints!r}; it must be True or False"
            )
        self._async = async_checkpoints
        self._best = BestCheckpoint(
            config_value(config, "keep_checkpoint_best"), config_value(config, "keep_checkpoint_best_mode")
        )
        self.model_dir = agreed_model_dir(self._subject, model_dir, config_value(config, "model_dir"))
        self.config = config_with(config, self.model_dir)
        check_strategy(self._subject, config, takes_one=self._joins)
        self._clock: Clock = clock or RealClock()
        self._summaries = EvaluationSummaries(self.model_dir, self._clock)

    _joins = False  # whether it can train in several processes together

    @abstractmethod
    def _make_trainable(self) -> Trainable:
        """Returns the model in the form that the engine takes; called once, at the first use."""

    @property
    def synchronous(self) -> bool:
        """Whether each step is made by all training tasks of the cluster together."""
        return self._joins and is_synchronous(self.config)

    @property
    def coordinated(self) -> bool:
        """Whether the chief has workers make the steps, on variables of parameter servers."""
        return self._joins and is_coordinated(self.config)

    @cached_property
    def _replicas(self) -> Alone | Workers:
        if self.synchronous:
            return joined(self._subject, self.config, self._clock)
        if self.coordinated and config_value(self.config, "is_chief"):
            return coordinated(self.config, self._clock)
        return mirrored(config_value(self.config, "train_distribute")) or Alone()

    def trains_no_more(self) -> None:
        """Takes note that training was complete before it began: nobody of a cluster has to be waited for."""
        if self.synchronous or self.coordinated:
            self.__dict__.setdefault("_replicas", NotJoined())

    @cached_property
    def _state(self) -> LiveState:
        with self._replicas.scope():  # TensorFlow must know its cluster before it is used
            return LiveState(self._make_trainable())

    @cached_property
    def _steps(self) -> StepBuilder:
        window = config_value(self.config, "log_step_count_steps") or 0
        return StepBuilder(self._state, window, self._replicas)

    @cached_property
    def _engine(self) -> TrainingEngine:
        writer = CheckpointWriter(
            self.model_dir, self._state, Retention(self.model_dir, self.config, self._clock)
        )
        return TrainingEngine(
            self._state,
            self._steps,
            self.model_dir,
            writer=writer,
            replicas=self._replicas,
            position=self._position(),
            clock=self._clock,
            beside=self._async,
            first=self._begin_warm,
        )

    def _position(self) -> Position:
        if isinstance(self._replicas, Coordinator):
            return WorkerData(self._replicas)
        seed = agreed_seed(self._replicas, config_value(self.config, "random_seed"))
        return Position(seed, pipeline_of(self.config) if self.synchronous else ONE)

    def _begin_warm(self) -> None:
        if self._warm_start is not None:
            self._warm_start.apply(self._state)

    @cached_property
    def _evaluator(self) -> Evaluator:
        return Evaluator(self._state, self._steps, self._clock)

    def supports_hook(self, hook: Any) -> bool:
        """Whether ``train`` takes it: an expcore hook, not a ``SessionRunHook``."""
        return is_hook(hook) and not callable(getattr(hook, "after_create_session", None))

    def train(
        self,
        input_fn: InputFn,
        hooks: Sequence[Any] | None = None,
        steps: int | None = None,
        max_steps: int | None = None,
        saving_listeners: Sequence[Any] | None = None,
    ) -> Self:
        """Trains until a number of steps, the end of the input, or a hook asks to stop; saves at the end.

        The first call goes on from the latest checkpoint that can be read. Later calls with the same input
        function go on with the data where the last one left them; input that ended begins anew. After an
        error inside a step the next call starts from the latest checkpoint again.

        Args:
            input_fn: returns a batched ``tf.data.Dataset``, a ``keras.utils.PyDataset``, arrays
                (features[, labels[, weights]]), or an iterable of such batches.
            hooks: expcore hooks; of a Keras model Keras callbacks too.
            steps: how many more steps, > 0; None: no such limit.
            max_steps: global step to end at, > 0; already there: nothing is done or called; None: no such
                limit.
            saving_listeners: told of each save, with None for the session.

        Returns:
            The estimator.

        Raises:
            InvalidArgument: both limits are given, or one is not positive (a ValueError).
            ClusterError: the config's cluster has several training tasks, and the estimator trains alone; or
                TensorFlow was used before it could join them.
            InvalidHook: something in ``hooks`` is not a hook, or a callback monitors a validation metric.
            InvalidType, InvalidInput: the input cannot be used, is empty, or does not fit the model.
            CannotWrite: the model directory or a checkpoint cannot be written.
            CheckpointCorrupt: there are checkpoints, but none that can be read.
            ModelMismatch: the checkpoint is of another model.
            ServerUnavailable: the cluster's other tasks were not there in time.
            PeerLost: another task of the cluster was lost.
        """
        if steps is not None and max_steps is not None:
            raise InvalidArgument(f"train: steps={steps} and max_steps={max_steps} are both given; give one")
        check_positive(self._subject, "steps", steps)
        check_positive(self._subject, "max_steps", max_steps)
        if not (self.synchronous or (self.coordinated and config_value(self.config, "is_chief"))):
            check_trains_alone(self._subject, self.config)
        elif isinstance(self.__dict__.get("_replicas"), NotJoined):
            raise ClusterError(f"{self._subject}: trains_no_more() was called; train in a new process")
        taken = self._training_hooks(hooks or ())
        if self._state.lent:
            raise ExpcoreError(
                "train: the model holds a checkpoint's values inside restored(); leave it first"
            )
        if max_steps is not None and self._step() >= max_steps:
            _LOG.info("step %d is at max_steps=%d: nothing is left to train", self._step(), max_steps)
            return self
        with self._replicas.watched():
            self._train(input_fn, taken, steps, max_steps, saving_listeners or ())
        return self

    def _train(
        self,
        input_fn: InputFn,
        hooks: Sequence[Any],
        steps: int | None,
        max_steps: int | None,
        saving_listeners: Sequence[Any],
    ) -> None:
        engine = self._engine
        engine.begin(input_fn)
        loop = TrainingLoop(
            engine,
            hooks,
            saving_listeners=list(saving_listeners),
            until=max_steps if steps is None else engine.step + steps,
            save=SaveRhythm(
                config_value(self.config, "save_checkpoints_steps"),
                config_value(self.config, "save_checkpoints_secs"),
            ),
            clock=self._clock,
        )
        engine.keep = lambda: self._best.paths(lambda: loop.history)
        loop.run()

    def _training_hooks(self, hooks: Sequence[Any]) -> list[Any]:
        check_hooks(hooks)
        for hook in hooks:
            if not self.supports_hook(hook):
                raise InvalidHook(
                    f"hook {describe(hook)}: it is a SessionRunHook, and there is no session here; give "
                    "an expcore hook"
                )
        return list(hooks)

    def _step(self) -> int:
        """The global step that training would go on from."""
        if "_engine" in self.__dict__ and self._engine.restored:
            return self._engine.step
        return step_of_newest(self.checkpoints())

    def evaluate(
        self,
        input_fn: InputFn,
        steps: int | None = None,
        hooks: Sequence[Any] | None = None,
        checkpoint_path: str | None = None,
        name: str | None = None,
    ) -> dict[str, Any]:
        """Evaluates a checkpoint; the state of the training is as before, bit for bit.

        The input is asked for once for each function and begun again each time; a generator is asked for
        anew. Where the optimizer keeps averages of the weights, those are evaluated.

        Args:
            input_fn: as for ``train``.
            steps: batches at most, > 0; None: until the input ends.
            hooks: given ``begin`` before and ``after_steps`` and ``end`` after the last batch, or ``failed``.
            checkpoint_path: the checkpoint; None: the latest.
            name: the summaries go to ``eval_<name>/`` in the model directory; None or "": to ``eval/``.

        Returns:
            The metrics as floats, and ``global_step``, the checkpoint's.

        Raises:
            InvalidArgument: ``steps`` is not positive, or ``name`` has a slash (a ValueError).
            InvalidHook: something in ``hooks`` is not an expcore hook.
            NotTrained: there is no checkpoint yet.
            InvalidType, InvalidInput: the input cannot be used, is empty, or does not fit the model.
            NotCompiled: the model cannot be evaluated.
            CheckpointCorrupt: the checkpoint is gone or damaged.
            ModelMismatch: the checkpoint is of another model.
            CannotWrite: the summaries cannot be written.
        """
        check_positive(self._subject, "steps", steps)
        self._summaries.check(name)
        saved = self._saved(checkpoint_path)
        reading = self._reading_hooks(hooks or ())
        with self._replicas.watched():
            metrics = self._evaluator.run(saved, input_fn, steps, reading, self.model_dir)
        self._summaries.write(name, metrics, saved.step)
        return {**metrics, "global_step": saved.step}

    def predict(
        self,
        input_fn: InputFn,
        predict_keys: Collection[str] | None = None,
        hooks: Sequence[Any] | None = None,
        checkpoint_path: str | None = None,
    ) -> Iterator[Any]:
        """Returns an iterator over predictions, one NumPy array an example; mappings for such models.

        Args:
            input_fn: as for ``train``; labels are not looked at.
            predict_keys: outputs to give, of a model whose output is a mapping; None: all.
            hooks: as for ``evaluate``.
            checkpoint_path: the checkpoint; None: the latest.

        Raises:
            NotTrained, CheckpointCorrupt, ModelMismatch, InvalidHook, InvalidType, InvalidInput: as for
                ``evaluate``, at once.
            InvalidArgument: ``predict_keys`` has what is not an output; with the first prediction.
        """
        saved = self._saved(checkpoint_path)
        predictor = Predictor(self._state, self._steps, self._clock)
        reading = self._reading_hooks(hooks or ())
        return predictor.run(saved, input_fn, predict_keys, reading, self.model_dir)

    def _reading_hooks(self, hooks: Sequence[Any]) -> Sequence[Any]:
        for hook in hooks:
            if not EngineEstimator.supports_hook(self, hook):
                raise InvalidHook(
                    f"hook {describe(type(hook))}: evaluate and predict take expcore hooks only; Keras "
                    "callbacks take part in training"
                )
        return hooks

    def checkpoints(self) -> list[str]:
        """Returns the paths of the whole checkpoints in the model directory, oldest first."""
        return directory.checkpoints(self.model_dir)

    def latest_checkpoint(self) -> str | None:
        """Returns the path of the newest whole checkpoint; None if there is none."""
        found = self.checkpoints()
        return found[-1] if found else None

    def _saved(self, checkpoint_path: str | None) -> SavedCheckpoint:
        path = checkpoint_path or self.latest_checkpoint()
        if path is None:
            raise NotTrained(f"there is no checkpoint in {self.model_dir!r}; call train() first")
        self._state  # noqa: B018  (made here: a model that cannot be used is told first)
        return SavedCheckpoint(os.fspath(path))

    @contextmanager
    def restored(self, checkpoint_path: str | None = None) -> Iterator[Any]:
        """Gives the native model with a checkpoint's weights (and its optimizer's, where it has one).

        The state of the training is put back at the end, bit for bit. Evaluating the same checkpoint inside
        reads nothing again; training inside is refused. Where the optimizer keeps averages of the weights,
        those are in their place.

        Args:
            checkpoint_path: the checkpoint; None: the latest.

        Raises:
            NotTrained: there is no checkpoint yet.
            CheckpointCorrupt: the checkpoint is gone or damaged.
            ModelMismatch: it is of another model.
            InvalidArgument: the model has seen no data and cannot be built without.
        """
        saved = self._saved(checkpoint_path)
        state = self._state
        self._build(saved)
        with self._replicas.watched(), state.holding(saved, whole=True):
            yield state.trainable.native

    def _build(self, saved: SavedCheckpoint) -> None:
        """Makes the variables of a model that has seen no data yet, from what the checkpoint says."""
        trainable = self._state.trainable
        trainable.build(saved.about.get("build"))
        if not trainable.section(MODEL):
            raise InvalidArgument(
                f"model {trainable.name!r} has no variables yet and the checkpoint does not say how to build "
                "it; train or evaluate first, or give the model a keras.Input"
            )
