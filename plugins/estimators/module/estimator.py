"""ModuleEstimator: trains, evaluates and predicts with a tf.Module or plain functions, without Keras."""

from __future__ import annotations

import os
from typing import Any

from expcore.calling import describe
from expcore.cluster import config_value
from expcore.errors import InvalidArgument, NotCopyable
from expcore.types import Clock
from expcore_plugins.estimators.engine.estimator import EngineEstimator
from expcore_plugins.estimators.engine.settings import config_with
from expcore_plugins.estimators.module.native import NativeModule
from expcore_plugins.estimators.module.trainable import ModuleTrainable


class ModuleEstimator(EngineEstimator):
    """A model whose steps are written by hand, with a model directory.

    The model is an object with these methods, usually a ``tf.Module``; ``Functions`` makes one of plain
    functions:

    - ``train_step(batch)``: makes one step: computes gradients and changes the variables. Returns a mapping
      of names to scalars, or one scalar, the loss.
    - ``test_step(batch)``: returns the metrics of a batch likewise. Without it the model cannot be evaluated.
    - ``predict_step(features)``: returns the predictions for a batch, whose first dimension is the
      examples. Without it the model cannot predict.

    A batch is what the input function gives: features, ``(features, labels)`` or ``(features, labels,
    weights)``. The steps are compiled by ``tf.function``, many to a call, as those of Keras models are.

    Metrics are means of what the steps return, each batch weighing as many as it has examples: in training
    over the steps since the last multiple of ``config.log_step_count_steps`` (None: since training began).

    A checkpoint holds every variable in the attributes of the model, of modules, lists and mappings in
    them, and of Keras layers, optimizers and seed generators and ``tf.random.Generator`` there; and what
    else a compiled training step was seen to use. All variables but those of Keras optimizers have to be
    there when the model is made, so that a checkpoint can be restored into it.

    Args:
        model: such an object, or a function of no arguments that returns one; made once, at the first use.
        model_dir: the model directory; None: ``config.model_dir``, or else a temporary one, which is said
            in the log.
        config: a RunConfig or another object with some of its attributes; None: ``RunConfig()``.
        clock: gives time to the training loop and hooks; None: the real one.
        jit_compile: whether steps are compiled by XLA.
        run_eagerly: whether steps run one by one in Python, for looking into them; variables outside of the
            model are then not saved, and Keras optimizers have to be built where the model is made.
        async_checkpoints: as for ``KerasEstimator``.
        warm_start: as for ``KerasEstimator``.

    Attributes:
        model_dir: the model directory.
        config: the config given, with the model directory filled in if it had none.

    Raises:
        InvalidType: ``model`` or ``warm_start`` is neither of them.
        InvalidArgument: ``model_dir`` and ``config.model_dir`` differ, it is not a local path, or has one of
            ``*?[`` and the backslash in it; the config asks for a distribution strategy; a switch is not True
            or False, or both ``jit_compile`` and ``run_eagerly`` are True.
    """

    capabilities = frozenset({"reproducible", "exact_resume", "checkpoint_rhythm"})

    def __init__(
        self,
        model: Any,
        model_dir: str | os.PathLike[str] | None = None,
        config: Any = None,
        *,
        clock: Clock | None = None,
        jit_compile: bool = False,
        run_eagerly: bool = False,
        async_checkpoints: bool = False,
        warm_start: Any = None,
    ) -> None:
        self._native = NativeModule(model)
        super().__init__(
            model_dir, config, clock=clock, async_checkpoints=async_checkpoints, warm_start=warm_start
        )
        for name, value in (("jit_compile", jit_compile), ("run_eagerly", run_eagerly)):
            if not isinstance(value, bool):
                raise InvalidArgument(f"ModuleEstimator: {name} is {value!r}; it must be True or False")
        if jit_compile and run_eagerly:
            raise InvalidArgument("ModuleEstimator: jit_compile and run_eagerly are both True; give one")
        self._jit_compile, self._run_eagerly = jit_compile, run_eagerly

    def _make_trainable(self) -> ModuleTrainable:
        model = self._native.get(config_value(self.config, "random_seed"))
        return ModuleTrainable(model, jit_compile=self._jit_compile, run_eagerly=self._run_eagerly)

    def with_model_dir(self, path: str | os.PathLike[str]) -> ModuleEstimator:
        """Returns an estimator in another directory whose model is made anew.

        Args:
            path: the other model directory.

        Raises:
            NotCopyable: the model itself was given, not a function that makes it (a TypeError).
        """
        if not self._native.made:
            raise NotCopyable(
                f"model {describe(type(self._native.source))} cannot be made again; give ModuleEstimator a "
                "function that returns it"
            )
        path = os.fspath(path)
        return ModuleEstimator(
            self._native.source,
            path,
            config_with(self.config, path),
            clock=self._clock,
            jit_compile=self._jit_compile,
            run_eagerly=self._run_eagerly,
            async_checkpoints=self._async,
            warm_start=self._warm_start,
        )
