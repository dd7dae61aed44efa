"""PartitionedEmbedding: what one table gives, in parts."""

from __future__ import annotations

import numpy as np
import pytest

from expcore.errors import InvalidArgument

pytestmark = pytest.mark.tf


@pytest.fixture
def make():
    from expcore_plugins.estimators.keras.partitioned_embedding import PartitionedEmbedding

    return PartitionedEmbedding


def whole(layer):
    """The parts of a built layer as one table."""
    table = np.zeros((layer.input_dim, layer.output_dim), "float32")
    for p, part in enumerate(layer.tables):
        table[p :: layer.partitions] = part.numpy()
    return table


@pytest.mark.parametrize("partitions", [1, 2, 3, 10])
@pytest.mark.parametrize("jit_compile", [False, True])
def test_trains_as_one_table_does(make, partitions, jit_compile):
    import keras

    layer = make(10, 4, partitions, name="words")
    layer.build()
    one = keras.layers.Embedding(10, 4, embeddings_initializer=keras.initializers.Constant(whole(layer)))
    ids = np.random.default_rng(0).integers(0, 10, (24, 5))
    y = np.random.default_rng(1).normal(size=(24, 1)).astype("float32")
    found = {}
    for name, embedding in (("parts", layer), ("one", one)):
        keras.utils.set_random_seed(0)
        layers = [keras.Input((5,), dtype="int32"), embedding, keras.layers.Flatten(), keras.layers.Dense(1)]
        model = keras.Sequential(layers)
        model.compile(keras.optimizers.Adam(0.1), "mse", jit_compile=jit_compile)
        model.fit(ids, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
        found[name] = model.predict(ids, verbose=0)
    np.testing.assert_allclose(found["parts"], found["one"], rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(whole(layer), one.embeddings.numpy(), rtol=2e-5, atol=1e-6)


def test_rows_are_where_the_documentation_says(make):
    layer = make(7, 2, 3)
    layer.build()
    assert [part.shape for part in layer.tables] == [(3, 2), (2, 2), (2, 2)]
    np.testing.assert_array_equal(layer(np.array([5]))[0], layer.tables[5 % 3].numpy()[5 // 3])


def test_parts_begin_differently_and_by_the_seed(make):
    import keras

    tables = []
    for _ in range(2):
        layer = make(8, 2, 2, embeddings_initializer=keras.initializers.RandomUniform(seed=3))
        layer.build()
        tables.append(whole(layer))
        assert not np.array_equal(layer.tables[0].numpy(), layer.tables[1].numpy())
    np.testing.assert_array_equal(*tables)


def test_only_the_rows_that_are_asked_for_are_read(make):
    """No part of a table is read as a whole, as Keras's own layer does it: each is gathered where it is."""
    import keras
    import tensorflow as tf

    def kinds(layer):
        layer.build()
        graph = tf.function(layer).get_concrete_function(tf.TensorSpec((None,), tf.int32)).graph
        return [op.type for op in graph.get_operations()]

    found = kinds(make(1000, 2, 2))
    assert found.count("ResourceGather") == 2
    assert "ReadVariableOp" not in found
    assert "ReadVariableOp" in kinds(keras.layers.Embedding(1000, 2))


def test_gradients_are_of_the_rows_that_were_read(make):
    import tensorflow as tf

    layer = make(10, 2, 2)
    layer.build()
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(np.array([3, 3])))
    even, odd = tape.gradient(total, [v.value for v in layer.tables])
    np.testing.assert_array_equal(tf.convert_to_tensor(even), np.zeros((5, 2)))
    np.testing.assert_array_equal(tf.convert_to_tensor(odd)[1], [2.0, 2.0])


def test_ragged_ids_padding_and_mixed_precision(make):
    import tensorflow as tf

    layer = make(10, 2, 2, mask_zero=True, dtype="mixed_float16")
    ragged = layer(tf.ragged.constant([[1, 2], [3]]))
    assert ragged.dtype == tf.float16
    np.testing.assert_array_equal(ragged[1, 0], layer.tables[1].numpy()[1].astype("float16"))
    np.testing.assert_array_equal(layer.compute_mask(np.array([[0, 4]])), [[False, True]])
    assert make(10, 2, 2).compute_mask(np.array([[0, 4]])) is None
    assert layer.compute_output_shape((None, 7)) == (None, 7, 2)


def test_is_saved_and_loaded_with_a_model(make, tmp_path):
    import keras

    model = keras.Sequential(
        [keras.Input((3,), dtype="int32"), make(10, 2, 3, embeddings_regularizer="l2", mask_zero=True)]
    )
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    ids = np.array([[0, 5, 9]])
    np.testing.assert_array_equal(model.predict(ids, verbose=0), loaded.predict(ids, verbose=0))
    assert len(loaded.losses) == 3
    assert loaded.layers[0].mask_zero


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        ((0, 2, 1), "input_dim = 0 must be a whole number"),
        ((2, -1, 1), "output_dim = -1"),
        ((2, 2, 0), "partitions = 0"),
        ((2, 2, "a"), "partitions = 'a'"),
        ((2, 2, 3), "must not be more than the table has rows"),
    ],
)
def test_wrong_sizes_are_told(make, sizes, told):
    with pytest.raises(InvalidArgument, match=told):
        make(*sizes)
