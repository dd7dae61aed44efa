"""A tf.Module, or functions over variables, in the engine's hands."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from expcore.errors import NotCompiled
from expcore_plugins.estimators.engine.parts import is_optimizer, parts
from expcore_plugins.estimators.engine.trainable import MODEL, OPTIMIZER, Named
from expcore_plugins.estimators.module.means import Means


class ModuleTrainable:
    """Steps, variables and metrics of such a model (``engine.trainable.Trainable``).

    Args:
        model: has ``train_step``, and maybe ``test_step`` and ``predict_step``.
        jit_compile: whether steps are compiled by XLA.
        run_eagerly: whether steps run in Python.
    """

    averages = False

    def __init__(self, model: Any, *, jit_compile: bool, run_eagerly: bool) -> None:
        self.native = model
        self.name = str(getattr(model, "name", type(model).__name__))
        self.jit_compile, self.run_eagerly = jit_compile, run_eagerly
        self._trained, self._tested = Means("train_step"), Means("test_step")

    def train_step(self, batch: Any) -> Any:
        """The model's step; returns the means of the window."""
        return self._trained.take(self.native.train_step(batch), batch)

    def test_step(self, batch: Any) -> Any:
        """The model's evaluation of a batch; returns the means so far.

        Raises:
            NotCompiled: the model has none.
        """
        return self._tested.take(self._own("test_step", "evaluated")(batch), batch)

    def predict_step(self, batch: Any) -> Any:
        """The model's predictions.

        Raises:
            NotCompiled: the model gives none.
        """
        features = batch[0] if isinstance(batch, tuple) else batch
        return self._own("predict_step", "asked for predictions")(features)

    def _own(self, step: str, what: str) -> Any:
        function = getattr(self.native, step, None)
        if not callable(function):
            raise NotCompiled(f"model {self.name!r} cannot be {what}: it has no {step}(batch); give it one")
        return function

    def apart(self) -> AbstractContextManager[None]:
        """An empty context: the variables are nobody else's."""
        return nullcontext()

    def reset_metrics(self) -> None:
        """Begins the means anew."""
        self._trained.reset()
        self._tested.reset()

    def section(self, name: str) -> Sequence[Named]:
        """Variables of Keras optimizers are the optimizer's, all others the model's."""
        if name not in (MODEL, OPTIMIZER):
            return self._trained.variables
        found = [p for p in parts(self.native) if is_optimizer(p.value) == (name == OPTIMIZER)]
        return list({id(n.variable): n for p in found for n in p.variables}.values())

    def prepare(self, spec: Any) -> None:
        """Nothing is left to make but optimizers' variables, which no first step is needed for."""
        for part in parts(self.native):
            if is_optimizer(part.value) and not part.value.built:
                raise NotCompiled(
                    f"the optimizer {part.value.name!r} is not built; call its build(variables) where the "
                    "model is made"
                )

    def build(self, config: Any) -> None:
        """Nothing is left to make: such a model makes its variables when it is made."""

    def build_config(self) -> Any:
        """Nothing has to be said."""
        return

    def use_averages(self) -> None:
        """There are none."""
