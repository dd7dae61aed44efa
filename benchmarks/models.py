"""The models: the same Keras code under Keras 3 and, for tf.estimator, under Keras 2.15."""

from __future__ import annotations

from typing import Any

from benchmarks.case import Case
from benchmarks.data import CLASSES, SHAPES, VOCABULARY


def network(name: str) -> Any:
    """Returns a model that is not compiled; it gives logits."""
    import keras

    shape = SHAPES[name]
    inputs = keras.Input(shape, dtype="int32" if name == "embedding" else "float32", name="x")
    return keras.Model(inputs, keras.layers.Dense(CLASSES)(_BODIES[name](keras.layers, inputs)))


def compiled(case: Case, **options: Any) -> Any:
    """Returns the model of a case, compiled, with accuracy as its metric.

    Args:
        case: says which one, and whether with XLA.
        options: more arguments of ``compile``.
    """
    import keras

    keras.utils.set_random_seed(1)
    model = network(case.model)
    model.compile(
        optimizer=keras.optimizers.Adam(1e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        jit_compile=case.jit,
        **options,
    )
    return model


def _mlp(layers: Any, x: Any) -> Any:
    return layers.Dense(128, activation="relu")(x)


def _wide(layers: Any, x: Any) -> Any:
    """5.8 million parameters: 70 MB with Adam's two moments."""
    return layers.Dense(2048, activation="relu")(layers.Dense(2048, activation="relu")(x))


def _conv(layers: Any, x: Any) -> Any:
    x = layers.Conv2D(8, 3, strides=2, activation="relu")(x)
    return layers.Flatten()(layers.Conv2D(16, 3, strides=2, activation="relu")(x))


def _embedding(layers: Any, x: Any) -> Any:
    return layers.GlobalAveragePooling1D()(layers.Embedding(VOCABULARY, 16)(x))


def _transformer(layers: Any, x: Any) -> Any:
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 16)(x, x))
    inner = layers.Dense(32)(layers.Dense(64, activation="relu")(x))
    return layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x + inner))


def _tiny(layers: Any, x: Any) -> Any:
    return layers.Dense(4)(x)


_BODIES = {
    "mlp": _mlp,
    "wide": _wide,
    "conv": _conv,
    "embedding": _embedding,
    "transformer": _transformer,
    "tiny": _tiny,
}
