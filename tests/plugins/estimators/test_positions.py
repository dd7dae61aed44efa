"""A position in shuffled data is exact wherever it is taken, also where TensorFlow leaves a shuffle out."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest
import tensorflow as tf

from expcore_plugins.estimators.engine import shuffles
from expcore_plugins.estimators.engine.position import Position

pytestmark = pytest.mark.tf

N = 10


def rows(n=N):
    return tf.data.Dataset.range(n)


def grown(i):
    return tf.fill([i % 3], tf.cast(i, tf.float32))


PIPELINES = {
    "batches that end with their pass": lambda: rows().shuffle(N).batch(4).repeat(),
    "counted passes": lambda: rows().shuffle(N).batch(4).repeat(60),
    "read ahead": lambda: rows().shuffle(N).batch(4).repeat().prefetch(3),
    "padded": lambda: rows().shuffle(N).map(grown).padded_batch(4).repeat(),
    "mapped beside": lambda: rows().shuffle(N).batch(4).map(lambda x: x + 1, num_parallel_calls=2).repeat(),
    "a pass is one batch": lambda: rows().shuffle(N).batch(40).repeat(),
    "one after the other": lambda: rows().shuffle(N).concatenate(rows().shuffle(N)).batch(3).repeat(),
    "side by side": lambda: tf.data.Dataset.zip((rows().shuffle(N), rows().shuffle(N))).batch(4).repeat(),
    "parts in turns": lambda: (
        rows(5)
        .shuffle(5)
        .interleave(lambda i: tf.data.Dataset.range(10 * i, 10 * i + 4), cycle_length=3)
        .shuffle(20)
        .batch(4)
        .repeat()
    ),
    "drawn from two": lambda: (
        tf.data.Dataset.sample_from_datasets([rows().shuffle(N), rows().shuffle(N)]).batch(3).repeat()
    ),
    "random numbers": lambda: (
        tf.data.Dataset.random(rerandomize_each_iteration=True).take(N).batch(4).repeat()
    ),
    "over the ends of passes": lambda: rows().shuffle(N).repeat().batch(4),
    "whole batches": lambda: rows().shuffle(N).batch(4, drop_remainder=True).repeat(),
}


def opened(pipeline):
    position = Position(seed=3)
    position.open(pipeline)
    position.probe()
    return position


def given(position, n):
    batches = [tf.nest.map_structure(lambda t: t.numpy().tolist(), next(position.iterator)) for _ in range(n)]
    position.made(n, True)
    return batches


def checkpoint(position):
    """A checkpoint as far as a position goes."""
    saved = position.serialized()
    return SimpleNamespace(
        path="ckpt", has_iterator=True, position=lambda: saved, passes=position.number, taken=position.taken
    )


def lacks(pipeline, n):
    position = opened(pipeline)
    given(position, n)
    return position._lacks_shuffles(position.serialized())


@pytest.mark.parametrize("name", PIPELINES)
def test_who_goes_on_from_a_position_gets_the_batches_that_were_to_come(name):
    pipeline = PIPELINES[name]
    straight = given(opened(pipeline), 26)
    lacking = 0
    for n in range(13):
        position = opened(pipeline)
        assert given(position, n) == straight[:n]
        saved = checkpoint(position)
        lacking += position._lacks_shuffles(saved.position())
        again = opened(pipeline)
        again.restore(saved)
        assert again.taken == n
        assert given(again, 13) == straight[n : n + 13], f"after {n} batches"
    if name not in ("over the ends of passes", "whole batches"):
        for _ in range(30):  # where a thread reads ahead, it may not have come to the end of a pass yet
            lacking = lacking or any(lacks(pipeline, n) for n in range(13))
        assert lacking, "the case shows nothing"


def test_a_position_that_was_restored_is_saved_as_well_as_another():
    pipeline = PIPELINES["batches that end with their pass"]
    straight = given(opened(pipeline), 30)
    position = opened(pipeline)
    for n in range(20):
        assert given(position, 1) == straight[n : n + 1]
        saved = checkpoint(position)
        position = opened(pipeline)
        position.restore(saved)


@pytest.mark.parametrize(
    ("pipeline", "drawing"),
    [
        (lambda: rows().shuffle(N).batch(4).repeat(), 1),
        (lambda: rows().shuffle(N).batch(4), 0),
        (lambda: rows().shuffle(N, reshuffle_each_iteration=False).batch(4).repeat(), 0),
        (lambda: rows().batch(4).repeat(), 0),
    ],
)
def test_only_data_whose_later_passes_hang_on_the_earlier_ones_are_read_again(pipeline, drawing):
    assert shuffles.in_pipeline(opened(pipeline)._graph()) == drawing


@pytest.mark.parametrize(
    ("seed", "shuffle"),
    [
        (None, lambda seed: rows().shuffle(N, seed)),
        (1, lambda seed: rows().shuffle(N, seed).repeat()),
        (2, lambda seed: rows().shuffle(N, seed, reshuffle_each_iteration=False)),
        (None, lambda seed: tf.data.Dataset.zip(rows(), rows().shuffle(N, seed)).map(lambda a, b: a + b)),
        (3, lambda seed: tf.data.Dataset.zip(rows(), rows().shuffle(N, seed)).map(lambda a, b: a + b)),
        (None, lambda seed: tf.data.Dataset.range(3).interleave(lambda _: rows().shuffle(N, seed))),
        (4, lambda seed: tf.data.Dataset.range(3).interleave(lambda _: rows().shuffle(N, seed))),
        (None, lambda seed: rows().shuffle(N, 5).shuffle(N, seed)),
        (None, lambda seed: tf.data.Dataset.sample_from_datasets([rows(), rows()], seed=seed)),
        (6, lambda seed: tf.data.Dataset.sample_from_datasets([rows(), rows()], seed=seed)),
        (7, lambda _: rows()),
    ],
)
def test_an_order_is_certain_where_no_shuffle_is_without_a_seed(seed, shuffle):
    tf.random.set_seed(None)
    assert shuffles.order_is_certain(pipeline_graph(shuffle(seed).batch(2))) is (seed is not None)


@pytest.mark.parametrize(
    ("python", "data"),
    [
        (False, lambda: rows().map(lambda x: x + 1).shuffle(2)),
        (False, lambda: tf.data.Dataset.range(3).interleave(lambda _: rows().shuffle(2))),
        (True, lambda: tf.data.Dataset.from_generator(lambda: iter([1]), output_signature=tf.TensorSpec(()))),
        (True, lambda: rows().map(lambda x: tf.py_function(lambda x: x, [x], x.dtype))),
        (True, lambda: rows().map(lambda x: tf.numpy_function(lambda x: x, [x], x.dtype)).batch(2)),
    ],
)
def test_it_is_seen_where_python_makes_a_part_of_the_data(python, data):
    assert shuffles.made_by_python(pipeline_graph(data())) is python


def pipeline_graph(dataset):
    ignore = tf.data.experimental.ExternalStatePolicy.IGNORE.value
    return tf.raw_ops.DatasetToGraphV2(input_dataset=dataset._variant_tensor, external_state_policy=ignore)


def test_data_that_have_become_shorter_begin_anew_with_a_line(caplog):
    pipeline = PIPELINES["a pass is one batch"]
    position = opened(pipeline)
    given(position, 7)
    saved = checkpoint(position)
    shorter = opened(lambda: rows().shuffle(N).batch(40).repeat(5))
    with caplog.at_level(logging.WARNING):
        shorter.restore(saved)
    assert shorter.taken == 0
    assert len(given(shorter, 5)) == 5
    assert "ended after 5 batches, before the position in checkpoint ckpt" in caplog.text


def test_data_without_a_seed_keep_what_tensorflow_kept():
    position = Position(seed=None)
    position.open(PIPELINES["a pass is one batch"])
    position.probe()
    given(position, 3)
    again = Position(seed=None)
    again.open(PIPELINES["a pass is one batch"])
    again.probe()
    again.restore(checkpoint(position))
    assert again.taken == 3
    assert sorted(given(again, 1)[0]) == list(range(N))
