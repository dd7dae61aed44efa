"""KerasEstimator: trains, evaluates and predicts with a compiled Keras 3 model on TensorFlow."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from expcore.calling import describe
from expcore.clock import RealClock
from expcore.cluster import RunConfig, config_value
from expcore.errors import (
    CheckpointCorrupt,
    ExpcoreError,
    InvalidArgument,
    InvalidHook,
    ModelMismatch,
    NotCopyable,
    NotTrained,
    one_line,
)
from expcore.loop import SaveRhythm, TrainingLoop, check_hooks
from expcore.types import Clock, InputFn, is_hook
from expcore_plugins.estimators.keras import directory
from expcore_plugins.estimators.keras.callbacks import adapted, is_callback
from expcore_plugins.estimators.keras.engine import TrainingEngine
from expcore_plugins.estimators.keras.evaluation import Evaluator
from expcore_plugins.estimators.keras.export import export_saved_model
from expcore_plugins.estimators.keras.native import NativeModel
from expcore_plugins.estimators.keras.prediction import Predictor
from expcore_plugins.estimators.keras.saved import SavedCheckpoint
from expcore_plugins.estimators.keras.settings import (
    agreed_model_dir,
    check_no_strategy,
    check_positive,
    check_trains_alone,
    config_with,
)
from expcore_plugins.estimators.keras.state import MODEL, OPTIMIZER, LiveState
from expcore_plugins.estimators.keras.steps import StepBuilder
from expcore_plugins.estimators.keras.summaries import EvaluationSummaries

_LOG = logging.getLogger(__name__)


class KerasEstimator:
    """A compiled Keras 3 model with a model directory.

    Several training steps run in one compiled call, over ``model.train_step``; so everything that ``fit``
    does in a step counts here: overrides, losses, metrics, sample weights, regularisation, and
    ``jit_compile`` and ``run_eagerly`` as given to ``compile``. The model and its functions are built once
    and serve all later calls.

    Training metrics are running means, as Keras's are: over the steps since the last multiple of
    ``config.log_step_count_steps`` (None: since training began), however calls are cut.

    A checkpoint holds the global step, all variables of the model (with the states of seed generators), of
    its optimizers and metrics, the position in the input, and the states of hooks. It does not hold what
    has no state to save: raw ``tf.random`` operations without a generator, ``keras.random`` functions
    called without a seed (Keras gives no public way to their generator), the position of input made by
    Python code, lookup tables.

    ``optimizer.use_ema``: the averages are kept and saved, but not written over the weights at the end.

    Args:
        model: a compiled ``keras.Model``, or a function of no arguments that returns one; called once, at
            the first use.
        model_dir: the model directory; None: ``config.model_dir``, or else a temporary one, which is said
            in the log.
        config: a RunConfig or another object with some of its attributes; None: ``RunConfig()``.
        clock: gives time to the training loop and hooks; None: the real one.
        steps_per_epoch: length of an epoch of Keras callbacks, in steps; None: one pass of the input, which
            is one train() call.

    Attributes:
        model_dir: the model directory.
        config: the config given, with the model directory filled in if it had none.

    Raises:
        InvalidType: ``model`` is neither of them.
        NotCompiled: ``model`` is not compiled.
        InvalidArgument: ``model_dir`` and ``config.model_dir`` differ, it is not a local path, or has one of
            ``*?[`` and the backslash in it; the config asks for a distribution strategy; ``steps_per_epoch``
            is not a positive number.
    """

    capabilities = frozenset({"reproducible", "exact_resume", "checkpoint_rhythm"})

    def __init__(
        self,
        model: Any,
        model_dir: str | os.PathLike[str] | None = None,
        config: Any = None,
        *,
        clock: Clock | None = None,
        steps_per_epoch: int | None = None,
    ) -> None:
        self._native = NativeModel(model)
        config = RunConfig() if config is None else config
        self.model_dir = agreed_model_dir(model_dir, config_value(config, "model_dir"))
        self.config = config_with(config, self.model_dir)
        check_no_strategy(config)
        check_positive("steps_per_epoch", steps_per_epoch)
        self._clock: Clock = clock or RealClock()
        self._steps_per_epoch = steps_per_epoch
        self._summaries = EvaluationSummaries(self.model_dir, self._clock)

    @cached_property
    def _state(self) -> LiveState:
        return LiveState(self._native.get(config_value(self.config, "random_seed")))

    @cached_property
    def _steps(self) -> StepBuilder:
        window = config_value(self.config, "log_step_count_steps") or 0
        return StepBuilder(self._state.model, self._state.step, window)

    @cached_property
    def _engine(self) -> TrainingEngine:
        return TrainingEngine(self._state, self._steps, self.model_dir, self.config)

    @cached_property
    def _evaluator(self) -> Evaluator:
        return Evaluator(self._state, self._steps, self._clock)

    def supports_hook(self, hook: Any) -> bool:
        """Whether ``train`` takes it: an expcore hook or a Keras callback; not a ``SessionRunHook``."""
        if is_callback(hook):
            return True
        return is_hook(hook) and not callable(getattr(hook, "after_create_session", None))

    def train(
        self,
        input_fn: InputFn,
        hooks: Sequence[Any] | None = None,
        steps: int | None = None,
        max_steps: int | None = None,
        saving_listeners: Sequence[Any] | None = None,
    ) -> KerasEstimator:
        """Trains until a number of steps, the end of the input, or a hook asks to stop; saves at the end.

        The first call goes on from the latest checkpoint that can be read. Later calls with the same input
        function go on with the data where the last one left them; input that ended begins anew. After an
        error inside a step the next call starts from the latest checkpoint again.

        Args:
            input_fn: returns a batched ``tf.data.Dataset``, a ``keras.utils.PyDataset``, arrays
                (features[, labels[, weights]]), or an iterable of such batches.
            hooks: expcore hooks and Keras callbacks.
            steps: how many more steps, > 0; None: no such limit.
            max_steps: global step to end at, > 0; already there: nothing is done or called; None: no such
                limit.
            saving_listeners: told of each save, with None for the session.

        Returns:
            The estimator.

        Raises:
            InvalidArgument: both limits are given, or one is not positive (a ValueError).
            ClusterError: the config's cluster has several training tasks.
            InvalidHook: something in ``hooks`` is not a hook, or a callback monitors a validation metric.
            InvalidType, InvalidInput: the input cannot be used, is empty, or does not fit the model.
            CannotWrite: the model directory or a checkpoint cannot be written.
            CheckpointCorrupt: there are checkpoints, but none that can be read.
            ModelMismatch: the checkpoint is of another model.
        """
        if steps is not None and max_steps is not None:
            raise InvalidArgument(f"train: steps={steps} and max_steps={max_steps} are both given; give one")
        check_positive("steps", steps)
        check_positive("max_steps", max_steps)
        check_trains_alone(self.config)
        taken = self._training_hooks(hooks or ())
        if self._state.lent:
            raise ExpcoreError(
                "train: the model holds a checkpoint's values inside restored(); leave it first"
            )
        if max_steps is not None and self._step() >= max_steps:
            _LOG.info("step %d is at max_steps=%d: nothing is left to train", self._step(), max_steps)
            return self
        engine = self._engine
        engine.begin(input_fn)
        TrainingLoop(
            engine,
            taken,
            saving_listeners=list(saving_listeners or ()),
            until=max_steps if steps is None else engine.step + steps,
            save=SaveRhythm(
                config_value(self.config, "save_checkpoints_steps"),
                config_value(self.config, "save_checkpoints_secs"),
            ),
            clock=self._clock,
        ).run()
        return self

    def _training_hooks(self, hooks: Sequence[Any]) -> list[Any]:
        taken = adapted(hooks, self._steps_per_epoch)
        check_hooks(taken)
        for hook in taken:
            if not self.supports_hook(hook):
                raise InvalidHook(
                    f"hook {describe(hook)}: it is a SessionRunHook, and Keras models have no session; give "
                    "an expcore hook or a keras.callbacks.Callback"
                )
        return taken

    def _step(self) -> int:
        """The global step that training would go on from."""
        if "_engine" in self.__dict__ and self._engine.restored:
            return self._engine.step
        for path in reversed(self.checkpoints()):
            try:
                return SavedCheckpoint(path).step
            except (CheckpointCorrupt, ModelMismatch):
                continue  # told when training really restores it
        return 0

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
        anew.

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
            NotCompiled: the model has no loss.
            CheckpointCorrupt: the checkpoint is gone or damaged.
            ModelMismatch: the checkpoint is of another model.
            CannotWrite: the summaries cannot be written.
        """
        check_positive("steps", steps)
        self._summaries.check(name)
        saved = self._saved(checkpoint_path)
        reading = self._reading_hooks(hooks or ())
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
        return predictor.run(saved, input_fn, predict_keys, self._reading_hooks(hooks or ()), self.model_dir)

    def _reading_hooks(self, hooks: Sequence[Any]) -> Sequence[Any]:
        for hook in hooks:
            if is_callback(hook) or not self.supports_hook(hook):
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
        self._native.get(config_value(self.config, "random_seed"))
        return SavedCheckpoint(os.fspath(path))

    @contextmanager
    def restored(self, checkpoint_path: str | None = None) -> Iterator[Any]:
        """Gives the Keras model with a checkpoint's weights (and its optimizer's, where it has one).

        The state of the training is put back at the end, bit for bit. Evaluating the same checkpoint inside
        reads nothing again; training inside is refused.

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
        fits = saved.fits(OPTIMIZER, state.section(OPTIMIZER))
        with state.holding(saved, (MODEL, OPTIMIZER) if fits else (MODEL,)):
            yield state.model

    def _build(self, saved: SavedCheckpoint) -> None:
        """Makes the variables of a model that has seen no data yet, from what the checkpoint says."""
        model = self._state.model
        if not model.built and saved.about.get("build"):
            model.build_from_config(saved.about["build"])
        if not model.variables:
            raise InvalidArgument(
                f"model {model.name!r} has no variables yet and the checkpoint does not say how to build it; "
                "train or evaluate first, or give the model a keras.Input"
            )
        optimizer = getattr(model, "optimizer", None)
        if optimizer is not None and not optimizer.built:
            optimizer.build(model.trainable_variables)

    def with_model_dir(self, path: str | os.PathLike[str]) -> KerasEstimator:
        """Returns an estimator in another directory that shares no variable with this one.

        A model function is called again; a model is made again from its configuration and starts from the
        values that this one's variables have now.

        Args:
            path: the other model directory.

        Raises:
            NotCopyable: the model cannot be made again, or the config cannot be changed (a TypeError).
        """
        source = self._native.copy()
        path = os.fspath(path)
        try:
            config = config_with(self.config, path)
        except Exception as error:
            raise NotCopyable(
                f"the config {describe(type(self.config))} cannot be given another model_dir "
                f"({one_line(error)}); use expcore.RunConfig"
            ) from error
        return KerasEstimator(source, path, config, clock=self._clock, steps_per_epoch=self._steps_per_epoch)

    def export_saved_model(
        self,
        export_dir_base: str | os.PathLike[str],
        serving_input_receiver_fn: Callable[[], Any] | None = None,
        checkpoint_path: str | None = None,
    ) -> str:
        """Writes a SavedModel to ``<export_dir_base>/<seconds since the epoch>``, visible when it is whole.

        Args:
            export_dir_base: the directory of the versions.
            serving_input_receiver_fn: returns the signature's inputs as ``tf.TensorSpec`` or
                ``keras.InputSpec``; None: the model's own.
            checkpoint_path: the checkpoint; None: the latest.

        Returns:
            The path that was written.

        Raises:
            InvalidType: ``serving_input_receiver_fn`` returns something else, such as placeholders.
            CannotWrite: the directory cannot be written.
            NotTrained, CheckpointCorrupt, ModelMismatch: as for ``restored``.
        """
        with self.restored(checkpoint_path) as model:
            return export_saved_model(
                model, os.fspath(export_dir_base), serving_input_receiver_fn, self._clock
            )
