"""KerasEstimator: trains, evaluates and predicts with a compiled Keras 3 model on TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

from expcore.calling import describe
from expcore.cluster import config_value
from expcore.errors import InvalidArgument, NotCopyable, one_line
from expcore.types import Clock
from expcore_plugins.estimators.engine.coordinator import Coordinator
from expcore_plugins.estimators.engine.estimator import EngineEstimator
from expcore_plugins.estimators.engine.settings import check_positive, config_with
from expcore_plugins.estimators.engine.workers import Workers
from expcore_plugins.estimators.keras.asynchronous import KerasAsynchronous
from expcore_plugins.estimators.keras.callbacks import adapted, is_callback
from expcore_plugins.estimators.keras.export import export_saved_model
from expcore_plugins.estimators.keras.native import NativeModel
from expcore_plugins.estimators.keras.replica import KerasReplica
from expcore_plugins.estimators.keras.trainable import KerasTrainable


class KerasEstimator(EngineEstimator):
    """A compiled Keras 3 model with a model directory.

    Several training steps run in one compiled call, over ``model.train_step``; so everything that ``fit``
    does in a step counts here: overrides, losses, metrics, sample weights, regularisation, and
    ``jit_compile`` and ``run_eagerly`` as given to ``compile``. The model and its functions are built once
    and serve all later calls.

    Training metrics are running means, as Keras's are: over the steps since the last multiple of
    ``config.log_step_count_steps`` (None: since training began), however calls are cut.

    A checkpoint holds the global step, all variables of the model (with the states of seed generators), of
    its optimizers and metrics, the position in the input, the states of hooks, and what else a compiled
    training step was seen to use. It does not hold what has no state to save: raw ``tf.random`` operations
    without a generator, the position of input made by Python code, lookup tables.

    In a cluster of a chief and workers all make each step together, with the numbers of one process on the
    same batches; with parameter servers the chief has the workers make steps; ``train_distribute`` of the
    config trains on several devices of this process. ``docs/clusters.md`` says what is equal.

    ``optimizer.use_ema``: evaluations, predictions, exports and ``restored()`` use the averages, which is
    what ``fit`` leaves in the weights at its end. Training goes on from the weights themselves; a checkpoint
    holds both.

    Args:
        model: a compiled ``keras.Model``, a function of no arguments that returns one, or the path of a
            ``.keras`` file that holds one, which is loaded in Keras's safe mode; made once, at the first use.
        model_dir: the model directory; None: ``config.model_dir``, or else a temporary one, which is said
            in the log.
        config: a RunConfig or another object with some of its attributes; None: ``RunConfig()``.
        clock: gives time to the training loop and hooks; None: the real one.
        steps_per_epoch: length of an epoch of Keras callbacks, in steps; None: one pass of the input, which
            is one train() call.
        class_weight: weights, >= 0, of the classes in the training loss by their number, as for ``fit``; a
            class that is not in it weighs 1; None: all weigh the same.
        async_checkpoints: whether checkpoints are written beside the next steps. It pays for large models: a
            save takes the time of looking at the variables, and until it is written, at most one save
            later, the values are in memory twice. Listeners and hooks are told when a checkpoint is
            there; an error ends training at the next stop. Stops, evaluations and exports that hang on
            the save come some steps later.
        warm_start: where a model without a checkpoint begins: a ``WarmStart``, its parameters as a mapping,
            or the path alone; None: as it was made.

    Attributes:
        model_dir: the model directory.
        config: the config given, with the model directory filled in if it had none.

    Raises:
        InvalidType: ``model`` or ``warm_start`` is neither of them.
        NotCompiled: ``model`` is not compiled.
        InvalidArgument: ``model_dir`` and ``config.model_dir`` differ, it is not a local path, or has one of
            ``*?[`` and the backslash in it; the config's ``train_distribute`` is no strategy, or one in a
            cluster; ``steps_per_epoch`` is not a positive number; ``class_weight`` is no mapping of classes
            to weights.
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
        class_weight: Mapping[int, float] | None = None,
        async_checkpoints: bool = False,
        warm_start: Any = None,
    ) -> None:
        self._native = NativeModel(model)
        super().__init__(
            model_dir, config, clock=clock, async_checkpoints=async_checkpoints, warm_start=warm_start
        )
        check_positive("KerasEstimator", "steps_per_epoch", steps_per_epoch)
        self._steps_per_epoch = steps_per_epoch
        self._class_weight = _checked_weights(class_weight)

    _joins = True

    def _make_trainable(self) -> KerasTrainable:
        if self._native.given and isinstance(self._replicas, Coordinator):
            raise InvalidArgument(
                "KerasEstimator: a model was given, whose variables are this process's own; with parameter "
                "servers give the function that makes the model"
            )
        model = self._native.get(config_value(self.config, "random_seed"))
        if isinstance(self._replicas, Workers):
            return KerasReplica(model, self._class_weight, self._replicas)
        if isinstance(self._replicas, Coordinator):
            return KerasAsynchronous(model, self._class_weight)
        return KerasTrainable(model, self._class_weight)

    def supports_hook(self, hook: Any) -> bool:
        """Whether ``train`` takes it: an expcore hook or a Keras callback; not a ``SessionRunHook``."""
        return is_callback(hook) or super().supports_hook(hook)

    def _training_hooks(self, hooks: Sequence[Any]) -> list[Any]:
        return super()._training_hooks(adapted(hooks, self._steps_per_epoch))

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
        return KerasEstimator(
            source,
            path,
            config,
            clock=self._clock,
            steps_per_epoch=self._steps_per_epoch,
            class_weight=self._class_weight,
            async_checkpoints=self._async,
            warm_start=self._warm_start,
        )

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


def _checked_weights(given: Any) -> dict[int, float] | None:
    if given is None:
        return None
    right = (
        isinstance(given, Mapping)
        and given
        and all(isinstance(k, Integral) and not isinstance(k, bool) and k >= 0 for k in given)
        and all(
            isinstance(v, Real) and not isinstance(v, bool) and 0 <= v < float("inf") for v in given.values()
        )
    )
    if not right:
        raise InvalidArgument(
            f"KerasEstimator: class_weight is {given!r}; it must be a mapping of the numbers of "
            "classes, 0 and so on, to weights of 0 or more, or None"
        )
    return {int(k): float(v) for k, v in given.items()}
