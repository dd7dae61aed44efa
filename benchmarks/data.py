"""The data: seeded, in files, read by one tf.data pipeline that is the same for every peer.

It is in files, not in arrays, since tf.estimator writes arrays into every copy of its graph; what that costs,
as its tutorials do it all the same, is measured beside. TensorFlow 2.15 runs this module as well.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

from benchmarks.case import Case

EXAMPLES = 4096
EVAL_BATCHES = 10
SHUFFLE = 1000
CLASSES = 10
VOCABULARY = 20_000

SHAPES = {
    "mlp": (784,),
    "wide": (784,),
    "conv": (28, 28, 1),
    "embedding": (24,),
    "transformer": (16, 32),
    "tiny": (4,),
}
"""Shape of an example's features by model; the embedding's are word numbers."""


def write(case: Case, folder: str) -> None:
    """Writes the files of a case unless they are there: rows of features and a label, 4 bytes a number."""
    import numpy as np

    for path, rows in ((_train_path(case, folder), EXAMPLES), (_eval_path(case, folder), _eval_rows(case))):
        if os.path.exists(path):
            continue
        random = np.random.default_rng(rows)
        width = math.prod(SHAPES[case.model])
        labels = random.integers(0, CLASSES, (rows, 1))
        if case.model == "embedding":
            features = random.integers(0, VOCABULARY, (rows, width))
            table = np.concatenate([features, labels], axis=1).astype("int32")
        else:
            # Classes that can be learnt: with pure noise the weights would run away in a long job.
            features = random.normal(size=(rows, width)) + labels / CLASSES
            table = np.concatenate([features, labels], axis=1).astype("float32")
        table.tofile(path)


def training(case: Case, folder: str) -> Any:
    """Returns the training data: shuffled, without end."""
    return (
        _records(case, _train_path(case, folder))
        .shuffle(SHUFFLE, seed=1)
        .repeat()
        .batch(case.batch, drop_remainder=True)
        .map(_decoder(case))
        .prefetch(2)
    )


def evaluation(case: Case, folder: str) -> Any:
    """Returns the evaluation data: ten batches."""
    path = _eval_path(case, folder)
    return _records(case, path).batch(case.batch, drop_remainder=True).map(_decoder(case)).prefetch(2)


def training_arrays(case: Case, folder: str) -> Any:
    """Returns the training data as ``training`` does, from arrays."""
    arrays = _arrays(case, _train_path(case, folder))
    return arrays.shuffle(SHUFFLE, seed=1).repeat().batch(case.batch, drop_remainder=True).prefetch(2)


def evaluation_arrays(case: Case, folder: str) -> Any:
    """Returns the evaluation data from arrays."""
    arrays = _arrays(case, _eval_path(case, folder))
    return arrays.batch(case.batch, drop_remainder=True).prefetch(2)


def indexed(case: Case, folder: str) -> Any:
    """Returns the same examples by row numbers shuffled by a function of a counter, which is the position."""
    import tensorflow as tf

    table = tf.constant(_table(case, _train_path(case, folder)))
    split = _splitter(case)

    def batch(counts: Any) -> Any:
        seed = tf.stack([counts[0] // EXAMPLES, 1])  # a pass is a whole number of batches
        rows = tf.random.experimental.index_shuffle(counts % EXAMPLES, seed, EXAMPLES - 1)
        return split(tf.gather(table, rows))

    # Read ahead are counts, not batches: what is read ahead is saved as well.
    counts = tf.data.Dataset.range(2**60).batch(case.batch, drop_remainder=True)
    return counts.prefetch(2).map(batch)


def _arrays(case: Case, path: str) -> Any:
    import tensorflow as tf

    table = _table(case, path)
    features = table[:, :-1].reshape(-1, *SHAPES[case.model])
    return tf.data.Dataset.from_tensor_slices((features, table[:, -1].astype("int32")))


def _table(case: Case, path: str) -> Any:
    """The rows of a file."""
    import numpy as np

    kind = "int32" if case.model == "embedding" else "float32"
    return np.fromfile(path, kind).reshape(-1, math.prod(SHAPES[case.model]) + 1)


def _records(case: Case, path: str) -> Any:
    import tensorflow as tf

    return tf.data.FixedLengthRecordDataset(path, 4 * (math.prod(SHAPES[case.model]) + 1))


def _decoder(case: Case) -> Callable[[Any], Any]:
    import tensorflow as tf

    kind = tf.int32 if case.model == "embedding" else tf.float32
    split = _splitter(case)
    return lambda records: split(tf.io.decode_raw(records, kind))


def _splitter(case: Case) -> Callable[[Any], Any]:
    """A function of a batch of rows that gives features and labels."""
    import tensorflow as tf

    shape = SHAPES[case.model]
    width = math.prod(shape)

    def split(rows: Any) -> Any:
        rows = tf.ensure_shape(rows, (case.batch, width + 1))
        return tf.reshape(rows[:, :width], (case.batch, *shape)), tf.cast(rows[:, width], tf.int32)

    return split


def _eval_rows(case: Case) -> int:
    return EVAL_BATCHES * case.batch


def _train_path(case: Case, folder: str) -> str:
    return os.path.join(folder, f"{case.model}-train.rows")


def _eval_path(case: Case, folder: str) -> str:
    return os.path.join(folder, f"{case.model}-eval-{case.batch}.rows")
