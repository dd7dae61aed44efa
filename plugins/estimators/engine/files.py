"""Files: those of a dataset that one of several processes reads."""

from __future__ import annotations

from typing import Any

from expcore.errors import InvalidInput


def wants_files(dataset: Any) -> bool:
    """Whether a dataset's options say that each process is to read files of its own."""
    import tensorflow as tf

    policy = dataset.options().experimental_distribute.auto_shard_policy
    return policy == tf.data.experimental.AutoShardPolicy.FILE


def part_by_files(dataset: Any, index: int, of: int, subject: str) -> Any:
    """Returns the dataset on every so manieth of its files, with this process's share of a batch.

    TensorFlow finds the place where the files are named and deals them there.

    Args:
        dataset: gives batches of all processes together.
        index: which process this is, from 0.
        of: how many there are.
        subject: names the dataset in messages.

    Raises:
        InvalidInput: it reads no files, or the size of its batches cannot be told.
    """
    import tensorflow as tf

    spec = dataset.element_spec
    whole = tf.data.experimental.to_variant(dataset)
    batch = int(tf.raw_ops.ComputeBatchSize(input_dataset=whole))
    if batch < of:
        what = "its batches have no size of their own" if batch < 0 else f"its batches have {batch} rows"
        raise InvalidInput(
            f"{subject}: auto_shard_policy FILE for {of} processes, but {what}; end it with batch() of at "
            "least as many, or name a parameter input_context and return this process's part"
        )
    flat = tf.nest.flatten(spec, expand_composites=True)
    try:
        part = tf.raw_ops.AutoShardDataset(
            input_dataset=whole,
            num_workers=of,
            index=index,
            num_replicas=of,
            auto_shard_policy=int(tf.data.experimental.AutoShardPolicy.FILE.value),
            output_types=[s.dtype for s in flat],
            output_shapes=[s.shape for s in flat],
        )
    except tf.errors.OpError as error:
        raise InvalidInput(
            f"{subject}: auto_shard_policy FILE, but TensorFlow finds no files that it reads; take the "
            "option away, or name a parameter input_context and return this process's part"
        ) from error
    rows = (index + 1) * batch // of - index * batch // of
    always = all(s.shape.rank and s.shape[0] is not None for s in flat)
    return tf.data.experimental.from_variant(part, spec).rebatch(rows, drop_remainder=always)
