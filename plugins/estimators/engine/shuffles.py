"""Shuffles: what draws another order in each pass over the data, counted in a pipeline and in a position.

TensorFlow keeps in a position only the shuffles that are at work. One whose pass has been read to its end is
left out, and with it the number of its passes, while what it gave is still on its way through the pipeline:
``shuffle(n).batch(32).repeat()`` is in this state whenever the last, partial batch of a pass has been read
ahead. Such a position looks whole, and whoever goes on from it has the orders of the first passes once more.
"""

from __future__ import annotations

from typing import Any

_DRAWING = {"ShuffleDatasetV3", "RandomDataset", "RandomDatasetV2"}
_ANEW = ("reshuffle_each_iteration", "rerandomize_each_iteration")
_MARK = b"epoch_num_random_samples"  # what the state of each begins with


def in_pipeline(graph: Any) -> int:
    """Returns how many parts of a pipeline draw; 0 where no later pass hangs on how often they did.

    Args:
        graph: the pipeline as ``DatasetToGraphV2`` gives it, a scalar string tensor.
    """
    import tensorflow as tf

    nodes = tf.compat.v1.GraphDef.FromString(graph.numpy()).node
    parts = [node for node in nodes if node.op in _DRAWING]
    anew = any(part.attr[name].b for part in parts for name in _ANEW)
    return len(parts) if anew and any(node.op == "RepeatDataset" for node in nodes) else 0


def seeded(graph: Any) -> bool:
    """Returns whether a pipeline shuffles with a seed that was given, in the same order wherever it is read.

    Args:
        graph: as for ``in_pipeline``.
    """
    import tensorflow as tf

    nodes = tf.compat.v1.GraphDef.FromString(graph.numpy()).node
    named = {node.name: node for node in nodes}
    shuffles = [node for node in nodes if node.op == "ShuffleDatasetV3"]
    seeds = [named[name] for node in shuffles for name in node.input[2:4]]
    return any(any(seed.attr["value"].tensor.int64_val) for seed in seeds)


def in_position(position: Any) -> int:
    """Returns of how many such parts the state is in a position.

    Args:
        position: as ``SerializeIterator`` gives it, a variant tensor.
    """
    import tensorflow as tf

    with tf.device("cpu:0"):
        return int(tf.io.serialize_tensor(position).numpy().count(_MARK))
