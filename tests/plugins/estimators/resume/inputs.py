"""Input functions of the resume harness: what a pipeline may be made of; all but `passes` never end."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

ROWS, FEATURES, BATCH = 50, 36, 4  # 12.5 batches a pass, so that epochs end inside of batches

_numbers = np.random.default_rng(0)
X = _numbers.normal(size=(ROWS, FEATURES)).astype("float32")
Y = (X[:, :6].sum(1, keepdims=True) > 0).astype("float32")
WORDS = _numbers.integers(1, 20, (ROWS, 8)).astype("int32")
LENGTHS = _numbers.integers(1, 9, ROWS)


def rows():
    return tf.data.Dataset.from_tensor_slices((X, Y))


def plain():
    return rows().shuffle(ROWS).repeat().batch(BATCH)


def held_out():
    return rows().batch(10)


def shuffle():
    """Another order in each pass, through a buffer that is smaller than the data, over and over."""
    return rows().shuffle(20).batch(BATCH).repeat()


def shuffle_once():
    return rows().shuffle(ROWS, reshuffle_each_iteration=False).repeat().batch(BATCH)


def shuffle_repeated():
    """By a seed of its own, over the ends of passes."""
    return rows().repeat().shuffle(70, seed=5).batch(BATCH)


def map_parallel():
    """Noise that hangs on the number of the example: what is random in a pipeline and can be saved."""

    def noisy(i, row):
        x, y = row
        return x + tf.random.stateless_normal([FEATURES], tf.stack([i, 3])), y

    numbered = rows().shuffle(ROWS).repeat().enumerate()
    return numbered.map(noisy, num_parallel_calls=4).batch(BATCH, num_parallel_calls=2)


def random_numbers():
    """Noise by a dataset of random numbers, another one in each pass."""
    seeds = tf.data.Dataset.random(rerandomize_each_iteration=True).batch(2, drop_remainder=True)

    def noisy(row, seed):
        return row[0] + tf.random.stateless_normal([FEATURES], seed), row[1]

    return tf.data.Dataset.zip((rows().shuffle(ROWS), seeds.take(ROWS))).map(noisy).repeat().batch(BATCH)


def interleave():
    """Five parts in turns; a shuffle inside of the function would have a state that cannot be saved."""
    parts = tf.data.Dataset.range(5).shuffle(5)
    mixed = parts.interleave(_part, cycle_length=3, block_length=2, num_parallel_calls=2, deterministic=True)
    return mixed.shuffle(20).repeat().batch(BATCH)


def _part(i):
    return rows().shard(5, i)


def files():
    """Records in three files, found by a pattern, shuffled, read in turns and parsed."""
    folder = Path(tempfile.mkdtemp())
    for part in range(3):
        with tf.io.TFRecordWriter(str(folder / f"part-{part}")) as writer:
            for x, y in zip(X[part::3], Y[part::3], strict=True):
                writer.write(tf.io.serialize_tensor(np.concatenate([x, y])).numpy())

    def parsed(record):
        row = tf.ensure_shape(tf.io.parse_tensor(record, tf.float32), [FEATURES + 1])
        return row[:-1], row[-1:]

    names = tf.data.Dataset.list_files(str(folder / "part-*"), shuffle=True)
    records = names.interleave(tf.data.TFRecordDataset, cycle_length=2)
    return records.map(parsed, num_parallel_calls=tf.data.AUTOTUNE).shuffle(30).repeat().batch(BATCH)


def repeat():
    """Passes that are counted, and batches that end with their pass."""
    return rows().shuffle(ROWS).batch(BATCH).repeat(60)


def texts():
    """Rows of different lengths."""
    made = tf.data.Dataset.from_tensor_slices((WORDS, LENGTHS, Y))
    return made.map(lambda words, n, y: (words[:n], y))


def padded():
    return texts().shuffle(ROWS).repeat().padded_batch(BATCH)


def buckets():
    """Batches of rows of like length, from a buffer for each length."""
    sizes = {"bucket_boundaries": [3, 6], "bucket_batch_sizes": [BATCH] * 3}
    return texts().shuffle(ROWS).repeat().bucket_by_sequence_length(lambda words, _: tf.size(words), **sizes)


def held_out_texts():
    return texts().padded_batch(10)


def prefetch():
    return rows().shuffle(ROWS).repeat().batch(BATCH).prefetch(tf.data.AUTOTUNE)


def cache():
    return rows().map(lambda x, y: (2 * x, y)).cache().shuffle(ROWS).repeat().batch(BATCH)


def mixture():
    """Examples of two kinds, drawn at random."""
    kinds = [rows().filter(lambda x, y, kind=kind: y[0] == kind).shuffle(10).repeat() for kind in (0.0, 1.0)]
    return tf.data.Dataset.sample_from_datasets(kinds, [0.3, 0.7]).batch(BATCH)


def everything():
    """Nearly all of these behind each other."""

    def noisy(i, row):
        return row[0] + tf.random.stateless_normal([FEATURES], tf.stack([i, 3])), row[1]

    mixed = tf.data.Dataset.range(5).shuffle(5).interleave(_part, cycle_length=3, num_parallel_calls=2)
    numbered = mixed.cache().shuffle(20).repeat().enumerate().map(noisy, num_parallel_calls=4)
    return numbered.padded_batch(BATCH, padded_shapes=([None], [1])).map(_shaped).prefetch(2)


def _shaped(x, y):
    return tf.ensure_shape(x, [BATCH, FEATURES]), tf.ensure_shape(y, [BATCH, 1])


def passes():
    """Data that end: they begin anew, in another order, when training is asked to go on."""
    return rows().shuffle(20).batch(BATCH)
