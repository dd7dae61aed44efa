"""Variables that a model's first step would make, made before it, where in the step it would be too late."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

from expcore_plugins.estimators.keras.changes import changed
from expcore_plugins.estimators.keras.trainable import optimizers


def make_variables(model: Any, step: Callable[[Any], Any], spec: Any) -> None:
    """Traces a training step, which is not run, so that it makes all that it uses.

    It is traced as that of a replica without others, so nothing is added up, and nothing is written.

    Args:
        model: the model.
        step: its training step, a function of a batch.
        spec: the structure of a batch.
    """
    import keras
    import tensorflow as tf
    from keras.src.backend.tensorflow.core import Variable
    from tensorflow.python.framework.func_graph import func_graph_from_py_func

    with ExitStack() as stack:
        changed(stack, Variable, "_direct_assign", lambda _: _nothing)
        if tf.distribute.in_cross_replica_context():
            stack.enter_context(tf.distribute.ReplicaContext(tf.distribute.get_strategy(), 0))
            changed(stack, tf.distribute.ReplicaContext, "all_reduce", lambda _: _unreduced)
        changed(stack, tf.GradientTape, "gradient", lambda _: _zeros)
        changed(stack, keras.optimizers.Optimizer, "apply", lambda _: _build)
        for optimizer in optimizers(model):
            changed(stack, optimizer, "apply", lambda _, one=optimizer: partial(_build, one))
        # Not a tf.function, which would put variables into its graph.
        func_graph_from_py_func("beforehand", step, (spec,), {}, signature=(spec,))


def _nothing(*_: Any, **__: Any) -> None:
    """What writing to a variable does meanwhile."""


def _unreduced(context: Any, op: Any, value: Any, *_: Any, **__: Any) -> Any:  # noqa: ARG001
    """What adding up over replicas does meanwhile."""
    return value


def _zeros(tape: Any, target: Any, sources: Any, *_: Any, **__: Any) -> Any:  # noqa: ARG001
    """Gradients meanwhile."""
    import tensorflow as tf

    return tf.nest.map_structure(tf.zeros_like, sources)


def _build(optimizer: Any, grads: Any, trainable_variables: Any = None) -> None:  # noqa: ARG001
    """What applying gradients does meanwhile."""
    import tensorflow as tf

    if not optimizer.built and trainable_variables is not None:
        with tf.init_scope():  # some optimizers make variables of numbers, which a graph cannot give away
            optimizer.build(list(trainable_variables))
