"""Shuffles: what draws another order in each pass over the data, counted in a pipeline and in a position.

TensorFlow keeps in a position only the shuffles that are at work. One whose pass has been read to its end is
left out, and with it the number of its passes, while what it gave is still on its way through the pipeline:
``shuffle(n).batch(32).repeat()`` is in this state whenever the last, partial batch of a pass has been read
ahead. Such a position looks whole, and whoever goes on from it has the orders of the first passes once more.
"""

from __future__ import annotations

from typing import Any

_ANEW = ("reshuffle_each_iteration", "rerandomize_each_iteration")
# Where the seeds are among what an operation is given: two zeros, if none was.
_SEEDS = {"ShuffleDatasetV3": slice(2, 4), "RandomDataset": slice(0, 2), "RandomDatasetV2": slice(0, 2)}
_MARK = b"epoch_num_random_samples"  # what the state of each begins with


def in_pipeline(graph: Any) -> int:
    """Returns how many parts of a pipeline draw; 0 where no later pass hangs on how often they did.

    Args:
        graph: the pipeline as ``DatasetToGraphV2`` gives it, a scalar string tensor.
    """
    import tensorflow as tf

    nodes = tf.compat.v1.GraphDef.FromString(graph.numpy()).node
    parts = [node for node in nodes if node.op in _SEEDS]
    anew = any(part.attr[name].b for part in parts for name in _ANEW)
    return len(parts) if anew and any(node.op == "RepeatDataset" for node in nodes) else 0


def order_is_certain(graph: Any) -> bool:
    """Returns whether a pipeline gives the same order wherever it is read: no shuffle, or with given seeds.

    Args:
        graph: as for ``in_pipeline``.
    """
    return all(
        any(any(values[name.partition(":")[0]]) for name in node.input[_SEEDS[node.op]])
        for nodes in _with_functions(graph)
        for values in [{node.name: node.attr["value"].tensor.int64_val for node in nodes}]
        for node in nodes
        if node.op in _SEEDS
    )


def made_by_python(graph: Any) -> bool:
    """Returns whether Python makes a part of what a pipeline gives.

    Args:
        graph: as for ``in_pipeline``, where the states of its parts are ignored.
    """
    return any("PyFunc" in node.op for nodes in _with_functions(graph) for node in nodes)


def _with_functions(graph: Any) -> list[Any]:
    """The nodes of a pipeline, and those of each function in it."""
    import tensorflow as tf

    whole = tf.compat.v1.GraphDef.FromString(graph.numpy())
    return [whole.node, *(function.node_def for function in whole.library.function)]


def in_position(position: Any) -> int:
    """Returns of how many such parts the state is in a position.

    Args:
        position: as ``SerializeIterator`` gives it, a variant tensor.
    """
    import tensorflow as tf

    with tf.device("cpu:0"):
        return int(tf.io.serialize_tensor(position).numpy().count(_MARK))
