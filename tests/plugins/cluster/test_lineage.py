"""What a step's graph says of its numbers: where rows meet, and what replicas write each for itself."""

from __future__ import annotations

import pytest

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")

from expcore_plugins.estimators.engine.lineage import Lineage  # noqa: E402  (it needs TensorFlow in its turn)

pytestmark = pytest.mark.tf


def traced(look, call):
    """Traces a function of a batch and returns what ``look`` finds with its lineage and its result."""
    found = []

    def step(x):
        found.append(look(Lineage(x), call(x)))
        return tf.zeros(())

    tf.function(step, autograph=False).get_concrete_function(tf.TensorSpec((None, 4)))
    return found[0]


def centred(x):
    return x - tf.reduce_mean(x, axis=0)


TABLE = tf.constant([[1.0, 2.0, 3.0, 4.0]])
MEETING = {
    "a mean": (centred, "Mean"),
    "a mean in a function": (lambda x: tf.function(centred)(x), "Mean"),
    "a mean in a branch": (
        lambda x: tf.cond(tf.reduce_sum(TABLE) > 3, lambda: centred(x), lambda: x),
        "Mean",
    ),
    "a mean in a case": (
        lambda x: tf.switch_case(tf.constant(1), [lambda: x, lambda: centred(x), lambda: x]),
        "Mean",
    ),
    "a mean in a loop": (
        lambda x: tf.while_loop(lambda i, _: i < 2, lambda i, x: (i + 1, centred(x)), (0, x))[1],
        "Mean",
    ),
    "a mean in a function in a loop in a branch": (
        lambda x: tf.cond(
            tf.reduce_sum(TABLE) > 3,
            lambda: tf.while_loop(lambda i, _: i < 2, lambda i, x: (i + 1, tf.function(centred)(x)), (0, x))[
                1
            ],
            lambda: x,
        ),
        "Mean",
    ),
    "a function that was called with what is the same before": (
        lambda x: [f := tf.function(lambda y: y - tf.reduce_mean(y, axis=0)), f(TABLE * 1.0), f(x)][2],
        "Mean",
    ),
    "one after the other": (lambda x: tf.scan(lambda a, row: a + row, x), "StatelessWhile"),
    "scanned by Keras": (
        lambda x: keras.ops.scan(lambda a, row: (0.5 * a + row, a), keras.ops.zeros((4,)), x)[1],
        "StatelessWhile",
    ),
    "ranked": (lambda x: tf.cast(tf.argsort(tf.argsort(x[:, 0])), tf.float32), "TopKV2"),
    "counted in bins": (
        lambda x: tf.cast(tf.histogram_fixed_width(x, [-1.0, 1.0], 5), tf.float32),
        "HistogramFixedWidth",
    ),
    "by their place": (lambda x: x + tf.cast(tf.range(tf.shape(x)[0]), tf.float32)[:, None], "Range"),
    "on a line": (lambda x: x + tf.linspace(0.0, 1.0, tf.shape(x)[0])[:, None], "Range"),
    "of a unit matrix": (lambda x: x + tf.eye(tf.shape(x)[0], 4), "MatrixSetDiagV3"),
    "beside a table": (lambda x: x * tf.ones([99, 4])[: tf.shape(x)[0]], "StridedSlice"),
    "repeated and cut": (lambda x: tf.repeat(x, 2, axis=0)[: tf.shape(x)[0]], "StridedSlice"),
    "with numbers of a fixed seed": (
        lambda x: x + tf.random.stateless_uniform(tf.shape(x), [1, 2]),
        "StatelessRandomUniformV2",
    ),
    "reshaped together": (lambda x: tf.reduce_max(tf.reshape(x, [-1, 8]), axis=1), "Reshape"),
    "reshaped aside": (lambda x: tf.reduce_sum(tf.reshape(x, [4, -1]), axis=1), "Sum"),
    "reshaped aside and back": (
        lambda x: tf.reshape(tf.transpose(tf.reshape(x, [4, -1])), [-1, 4]),
        "Reshape",
    ),
    "divided by a root of their number": (
        lambda x: x / tf.sqrt(tf.cast(tf.size(x), tf.float32)),
        "RealDiv",
    ),
    "transformed": (
        lambda x: tf.math.real(tf.signal.fft(tf.cast(tf.transpose(x), tf.complex64))),
        "FFT",
    ),
    "folded": (lambda x: tf.foldl(lambda a, row: a + row, x), "StatelessWhile"),
    "a convolution": (lambda x: tf.nn.conv1d(x[tf.newaxis], tf.ones([3, 4, 4]), 1, "SAME")[0], "Conv2D"),
    "pooled": (lambda x: tf.nn.max_pool1d(x[tf.newaxis], 3, 1, "SAME")[0], "MaxPool"),
    "by half the sum of their squares": (lambda x: x / (1.0 + tf.nn.l2_loss(x)), "L2Loss"),
    "by the norm of all": (lambda x: tf.clip_by_global_norm([x], 1.0)[0][0], "L2Loss"),
    "by a matrix of their number": (
        lambda x: tf.matmul(tf.ones([tf.shape(x)[0], tf.shape(x)[0]]), x),
        "MatMul",
    ),
    "by a triangle of their number": (
        lambda x: tf.matmul(tf.linalg.band_part(tf.ones([tf.shape(x)[0]] * 2), -1, 0), x),
        "MatMul",
    ),
    "by a row of their number": (lambda x: x - tf.matmul(tf.ones([1, tf.shape(x)[0]]), x), "MatMul"),
    "by a matrix that is turned": (
        lambda x: tf.matmul(x, tf.ones([tf.shape(x)[0]] * 2), transpose_a=True),
        "MatMul",
    ),
    "beside each other": (lambda x: tf.matmul(x, x, transpose_b=True), "MatMul"),
    "by an einsum": (lambda x: tf.einsum("bi,ci->bc", x, x), "Einsum"),
    "sorted": (lambda x: tf.sort(x, axis=0), "TopKV2"),
    "turned around": (lambda x: x[::-1], "StridedSlice"),
    "looked up by others": (lambda x: tf.gather(x, tf.argsort(x[:, 0])), "GatherV2"),
}
APART = {
    "itself": lambda x: x,
    "by columns": lambda x: x - tf.reduce_mean(x, axis=1, keepdims=True),
    "a function": lambda x: tf.function(lambda y: y * 2.0)(x),
    "a branch": lambda x: tf.cond(tf.reduce_sum(TABLE) > 3, lambda: x * 2.0, lambda: x),
    "each by itself": lambda x: tf.map_fn(lambda row: row * tf.reduce_sum(row * TABLE[0]), x),
    "a loop": lambda x: tf.while_loop(lambda i, _: i < 2, lambda i, x: (i + 1, tf.tanh(x)), (0, x))[1],
    "steps of time": lambda x: tf.scan(
        lambda a, step: a + step, tf.transpose(tf.reshape(x, [-1, 2, 2]), [1, 0, 2])
    ),
    "a convolution along each": lambda x: tf.nn.conv1d(x[..., tf.newaxis], tf.ones([3, 1, 1]), 1, "SAME"),
    "a dense layer": lambda x: tf.matmul(x, tf.ones([4, 3])),
    "by an einsum": lambda x: tf.einsum("bi,ij->bj", x, tf.ones([4, 3])),
    "by a matrix that is turned": lambda x: tf.matmul(x, tf.ones([3, 4]), transpose_b=True),
    "each by its label": lambda x: tf.gather_nd(
        x, tf.stack([tf.range(tf.shape(x)[0]), tf.cast(x[:, 0] > 0, tf.int32)], axis=1)
    ),
    "cut and put together": lambda x: tf.reshape(tf.tanh(tf.reshape(x, [-1, 2])), [-1, 4]),
    "those that are positive": lambda x: tf.boolean_mask(x, x[:, 0] > 0),
    "looked up in a table": lambda x: tf.gather(tf.ones([9, 3]), tf.cast(x, tf.int32)),
}


@pytest.mark.parametrize("name", MEETING)
def test_rows_that_meet_are_found_wherever_they_do(name):
    call, kind = MEETING[name]
    found = traced(lambda lineage, result: lineage.meeting(result), call)
    assert found is not None
    assert found.type == kind


@pytest.mark.parametrize("name", APART)
def test_rows_that_do_not_meet_raise_no_alarm(name):
    found = traced(lambda lineage, result: lineage.meeting(result), APART[name])
    assert found is None, found.name


def test_a_number_that_is_used_again_and_again_is_looked_at_once():
    def call(x):
        number = tf.cast(tf.size(x), tf.float32)
        for _ in range(60):  # in 2**60 ways
            number = number + number * number
        return x / number

    assert traced(lambda lineage, result: lineage.meeting(result), call).type == "RealDiv"


def write(x, kept):
    kept.assign(tf.reduce_mean(x))


def write_the_same(x, kept):
    kept.assign_add(1.0)


def in_function(write):
    return lambda x, kept: tf.function(lambda x: write(x, kept))(x)


def in_branch(write, high):
    return lambda x, kept: tf.cond(high(x), lambda: (write(x, kept), 1)[1], lambda: 0)


def in_loop(write):
    return lambda x, kept: tf.while_loop(lambda i: i < 2, lambda i: [(write(x, kept), i + 1)[1]], [0])


def by_rows(x):
    return tf.reduce_mean(x) > 0


def by_nothing(x):
    return tf.reduce_sum(TABLE) > 3


@pytest.mark.parametrize(
    ("call", "writes"),
    [
        (write, True),
        (in_function(write), True),
        (in_branch(write, by_nothing), True),
        (in_loop(write), True),
        (in_branch(in_function(write), by_nothing), True),
        (in_branch(write_the_same, by_rows), True),  # one replica does it and another does not
        (in_function(in_branch(write_the_same, by_rows)), True),
        (write_the_same, False),
        (in_function(write_the_same), False),
        (in_branch(write_the_same, by_nothing), False),
    ],
)
def test_what_replicas_write_each_in_its_own_way_is_found_wherever_they_do(call, writes):
    kept, other = tf.Variable(0.0), tf.Variable(0.0)
    found = traced(lambda lineage, _: lineage.written(), lambda x: (call(x, kept), other.assign(1.0))[0])
    assert [handle is kept.handle for handle in found] == ([True] if writes else [])
