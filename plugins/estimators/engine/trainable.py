"""What a model brings to the engine: steps, variables and metrics, whatever library it is written in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

MODEL, OPTIMIZER, METRICS = "model", "optimizer", "metrics"
EXTRA = "extra"
"""What a training step was seen to use besides: a generator in a helper object, Keras's global seed."""

SECTIONS = (MODEL, OPTIMIZER, METRICS, EXTRA)


class Named(NamedTuple):
    """A variable, and its path for people; where it belongs is said by its place in the list."""

    path: str
    variable: Any


class Trainable(Protocol):
    """A model in the engine's hands.

    Attributes:
        native: what hooks and ``restored()`` give: the model as its author knows it.
        name: for messages.
        jit_compile: whether a step is compiled by XLA.
        run_eagerly: whether steps run one by one in Python, for looking into them.
    """

    native: Any
    name: str
    jit_compile: bool
    run_eagerly: bool

    def train_step(self, batch: Any) -> Any:
        """Makes one step on a batch and returns what hooks see as metrics: a mapping of tensors."""

    def test_step(self, batch: Any) -> Any:
        """Takes a batch into the evaluation and returns the metrics so far."""

    def predict_step(self, batch: Any) -> Any:
        """Returns the predictions for a batch."""

    def apart(self) -> AbstractContextManager[None]:
        """A context in which this model can be evaluated and changed as if no other replica were there."""

    def reset_metrics(self) -> None:
        """Begins the metrics anew; also called while a step is traced."""

    def section(self, name: str) -> Sequence[Named]:
        """Returns the variables of ``MODEL``, ``OPTIMIZER`` or ``METRICS``.

        In an order that each build of the model gives again. Variables may come into being with the first
        traced step. What a traced training step uses and none of them has is saved besides (``EXTRA``).
        """

    def prepare(self, spec: Any) -> None:
        """Makes the variables that the first step would make, for steps that are not traced.

        Args:
            spec: the structure of a batch.
        """

    def build(self, config: Any) -> None:
        """Makes the variables of a model that has seen no data yet, from what ``build_config`` gave."""

    def build_config(self) -> Any:
        """Returns as JSON how to build the model without data; None where that cannot be said."""

    @property
    def averages(self) -> bool:
        """Whether the optimizer keeps averages of the weights, which evaluations and exports use."""

    def use_averages(self) -> None:
        """Writes the averages over the weights."""


class Shared(Trainable, Protocol):
    """A model whose steps several processes make together."""

    def finished(self, names: Sequence[str], logs: list[Any]) -> list[Any]:
        """Returns what the last of several steps gave, over all processes; called while a graph is made."""


class Asynchronous(Trainable, Protocol):
    """A model whose steps several workers make, each when it can."""

    def metrics(self) -> Mapping[str, Any]:
        """Returns the training metrics of now."""


def named(variables: Iterable[Any]) -> list[Named]:
    """Returns TensorFlow's variables behind these, each once, with their paths."""
    import tensorflow as tf

    found: dict[int, Named] = {}
    for v in variables:
        raw = v if isinstance(v, tf.Variable) else v.value  # a keras.Variable
        found.setdefault(id(raw), Named(str(getattr(v, "path", raw.name)), raw))
    return list(found.values())
