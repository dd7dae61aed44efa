"""An embedding whose table is in several variables, so that several parameter servers share it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from expcore.errors import InvalidArgument

if TYPE_CHECKING:
    from keras.layers import Layer as _Layer
else:
    _Layer = object  # Keras is imported when the layer is asked for


def __getattr__(name: str) -> Any:
    if name == "PartitionedEmbedding":
        return _layer()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@cache
def _layer() -> Any:
    """The layer: what is written below, as a layer of Keras's."""
    import keras

    about = {"__doc__": _Partitioned.__doc__, "__module__": __name__, "__qualname__": "PartitionedEmbedding"}
    made = type("PartitionedEmbedding", (_Partitioned, keras.layers.Layer), about)
    return keras.saving.register_keras_serializable("expcore")(made)


class _Partitioned(_Layer):
    """Turns whole numbers into dense vectors, as ``keras.layers.Embedding``, with a table in parts.

    Row ``r`` is in partition ``r % partitions``, at ``r // partitions``. Under parameter servers each part is
    a variable of its own, put on one server after the other; a step reads the rows of its ids from them, and
    no more, where ``keras.layers.Embedding`` reads the whole table. In one process, or in several that train
    together, it computes what the same table in one variable does.

    Args:
        input_dim: rows of the table; ids are from 0 to ``input_dim - 1``.
        output_dim: columns, the size of a vector.
        partitions: parts of the table, from 1 to ``input_dim``; as many as parameter servers, or more. It is
            the model's: a checkpoint goes with it, whatever the cluster.
        embeddings_initializer: initializer of each part; one with a whole number as seed is made for part
            ``p`` with ``seed + p``, so that parts differ.
        embeddings_regularizer: regularizer of each part; None: none.
        embeddings_constraint: constraint of each part; None: none.
        mask_zero: whether id 0 is padding, which later layers leave out.
        **kwargs: of every layer, as ``name``.

    Raises:
        InvalidArgument: a size is less than 1, or there are more partitions than rows.
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        partitions: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        **kwargs: Any,
    ) -> None:
        import keras

        super().__init__(**kwargs)
        for name, size in (("input_dim", input_dim), ("output_dim", output_dim), ("partitions", partitions)):
            if not isinstance(size, int) or size < 1:
                raise InvalidArgument(
                    f"PartitionedEmbedding: {name} = {size!r} must be a whole number, 1 or more; correct it"
                )
        if partitions > input_dim:
            raise InvalidArgument(
                f"PartitionedEmbedding: partitions = {partitions} must not be more than the table has rows, "
                f"input_dim = {input_dim}; use fewer"
            )
        self.input_dim, self.output_dim, self.partitions = input_dim, output_dim, partitions
        self.embeddings_initializer = keras.initializers.get(embeddings_initializer)
        self.embeddings_regularizer = keras.regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = keras.constraints.get(embeddings_constraint)
        self.mask_zero = self.supports_masking = mask_zero

    def build(self, input_shape: Any = None) -> None:
        """Makes the parts; the first ``input_dim % partitions`` of them have a row more."""
        self.tables = [
            self.add_weight(
                name=f"embeddings_{p}",
                shape=(len(range(p, self.input_dim, self.partitions)), self.output_dim),
                initializer=self._initializer(p),
                regularizer=self.embeddings_regularizer,
                constraint=self.embeddings_constraint,
                autocast=False,  # casting reads the whole table; the rows are cast instead
            )
            for p in range(self.partitions)
        ]
        self.built = True

    def _initializer(self, p: int) -> Any:
        import keras

        made = self.embeddings_initializer
        config = made.get_config() if isinstance(made, keras.initializers.Initializer) else {}
        if isinstance(config.get("seed"), int):
            return type(made).from_config({**config, "seed": config["seed"] + p})
        return made

    def call(self, inputs: Any) -> Any:
        """Returns the vectors of ids.

        Args:
            inputs: integers of any shape, dense or ragged.
        """
        import tensorflow as tf

        ids = inputs if inputs.dtype in (tf.int32, tf.int64) else tf.cast(inputs, tf.int32)
        # Today's tf.nn.embedding_lookup gives each part a range, and small ids are often the frequent ones.
        rows = tf.compat.v1.nn.embedding_lookup([v.value for v in self.tables], ids, partition_strategy="mod")
        return tf.cast(rows, self.compute_dtype)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Returns where there is no padding; None without ``mask_zero``."""
        import keras

        return keras.ops.not_equal(inputs, 0) if self.mask_zero else None

    def compute_output_shape(self, input_shape: Any) -> tuple[Any, ...]:
        """Returns the shape of ids with that of a vector behind it."""
        return (*input_shape, self.output_dim)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments, as Keras saves them."""
        import keras

        return {
            **super().get_config(),
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "partitions": self.partitions,
            "embeddings_initializer": keras.initializers.serialize(self.embeddings_initializer),
            "embeddings_regularizer": keras.regularizers.serialize(self.embeddings_regularizer),
            "embeddings_constraint": keras.constraints.serialize(self.embeddings_constraint),
            "mask_zero": self.mask_zero,
        }
