"""What an input function may return, and how it becomes a tf.data.Dataset of batches."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, count, islice
from typing import Any, NamedTuple

from expcore.calling import describe, describe_type, names, required_parameters
from expcore.errors import InvalidInput, InvalidType, listing, one_line
from expcore_plugins.estimators.engine.files import part_by_files, wants_files
from expcore_plugins.estimators.engine.steps import shapes

_LOG = logging.getLogger(__name__)

BATCH = 32
_RULE = (
    "return a batched tf.data.Dataset, a keras.utils.PyDataset, (features, labels[, weights]) arrays, or an "
    "iterable of such batches"
)


class Input(NamedTuple):
    """The data of an input function.

    Attributes:
        dataset: gives (features[, labels[, weights]]) batches, or features alone.
        again: whether another pass can be made over it; False for a generator, which is used up.
        shared: whether each of several processes reads all of it; False where each reads a part of its own.
    """

    dataset: Any
    again: bool
    shared: bool = True

    @property
    def spec(self) -> Any:
        """The structure of a batch."""
        return self.dataset.element_spec


class Pipeline(NamedTuple):
    """Which of several processes, that each read input for one training, this is."""

    index: int = 0
    of: int = 1


ONE = Pipeline()
"""The only process."""


def open_input(input_fn: Callable[..., Any], pipeline: Pipeline = ONE) -> Input:
    """Calls an input function and makes a Dataset of what it returns.

    A function that names a parameter ``input_context`` is given a ``tf.distribute.InputContext`` and is to
    read its process's part: batches of its own, which together with those of the others are a step's.

    A Dataset is taken as it is. Arrays (NumPy, or what converts to it; mappings of them too) are given in
    batches of 32, in order, once; floats in Keras's default float type. A ``PyDataset`` and an iterable are
    read by one thread; their first two batches say which dimensions vary.

    Raises:
        InvalidType: ``input_fn`` is not callable.
        InvalidInput: it needs arguments, or returns none of the above, nothing, or what is not batched.
    """
    if not callable(input_fn):
        raise InvalidType(f"input_fn is a {describe_type(type(input_fn))}; give a function of no arguments")
    subject = f"input function {describe(input_fn)}"
    own = names(input_fn, "input_context")
    missing = [name for name in required_parameters(input_fn) if name != "input_context"]
    if missing:
        raise InvalidInput(
            f"{subject} needs {listing(missing)}; it is called without arguments, bind them with "
            "functools.partial"
        )
    made = _made(input_fn(input_context=_context(pipeline)) if own else input_fn(), subject)
    _check(made.dataset, subject)
    if not own and pipeline.of > 1 and wants_files(made.dataset):
        part = part_by_files(made.dataset, pipeline.index, pipeline.of, subject)
        return made._replace(dataset=part, shared=False)
    return made._replace(shared=not own and _is_shared(made.dataset))


def _context(pipeline: Pipeline) -> Any:
    import tensorflow as tf

    return tf.distribute.InputContext(pipeline.of, pipeline.index, pipeline.of)


def _is_shared(dataset: Any) -> bool:
    """Whether nobody said that each process has data of its own: TensorFlow's option for it is OFF."""
    import tensorflow as tf

    policy = dataset.options().experimental_distribute.auto_shard_policy
    return policy != tf.data.experimental.AutoShardPolicy.OFF


def _made(data: Any, subject: str) -> Input:
    import numpy as np
    import tensorflow as tf

    if isinstance(data, tf.data.Dataset):
        return Input(data, True)
    keras = sys.modules.get("keras")  # not imported: then nothing can be a PyDataset
    if keras is not None and isinstance(data, keras.utils.PyDataset):
        if data.workers > 1 or data.use_multiprocessing:
            _LOG.info("%s: one thread reads the PyDataset, its workers are not used", subject)
        return Input(_from_batches(lambda: _batches_of(data), _items(data), subject), True)
    if isinstance(data, list) and data and hasattr(data[0], "__array__") and np.ndim(data[0]):
        raise InvalidInput(
            f"{subject} returned a list of arrays; are they batches, or features and labels? return a tuple "
            "(features, labels), or batches that are tuples"
        )
    if _is_arrays(data):
        return Input(_from_arrays(data, subject), True)
    if isinstance(data, Iterator):
        seen = list(islice(data, 2))
        whole = chain(seen, data)
        return Input(_from_batches(lambda: whole, seen, subject), False)
    if isinstance(data, Iterable) and not isinstance(data, (str, bytes, tuple, Mapping)):
        return Input(_from_batches(lambda: iter(data), data, subject), True)
    what = "nothing (None)" if data is None else f"a {describe_type(type(data))}"
    raise InvalidInput(f"{subject} returned {what}; {_RULE}")


def _batches_of(data: Any) -> Iterator[Any]:
    data.on_epoch_begin()
    yield from _items(data)
    data.on_epoch_end()


def _items(data: Any) -> Iterator[Any]:
    for i in count() if data.num_batches is None else range(data.num_batches):
        yield data[i]


def _is_arrays(data: Any) -> bool:
    """Whether it is an array or a tuple or mapping of arrays, the first component deciding."""
    if isinstance(data, tuple):
        return 0 < len(data) <= 3 and _is_arrays(data[0])
    if isinstance(data, Mapping):
        return bool(data) and all(map(_is_arrays, data.values()))
    if isinstance(data, list):
        return bool(data) and all(
            isinstance(v, (int, float, str, bytes, list)) or hasattr(v, "__array__") for v in data
        )
    return hasattr(data, "__array__") and getattr(data, "shape", None) != ()


def _from_arrays(data: Any, subject: str) -> Any:
    import tensorflow as tf

    arrays = _arrays(data, subject)
    rows = {len(array) for array in tf.nest.flatten(arrays)}
    if len(rows) != 1:
        raise InvalidInput(
            f"{subject} returned arrays of {sorted(rows)} examples; features, labels and weights must have "
            "as many"
        )
    return tf.data.Dataset.from_tensor_slices(arrays).batch(BATCH).prefetch(2)


def _arrays(data: Any, subject: str) -> Any:
    """The same structure with NumPy arrays; trailing None is dropped, lists of arrays become tuples."""
    import numpy as np

    if isinstance(data, Mapping):
        return {key: _arrays(value, subject) for key, value in data.items()}
    if isinstance(data, tuple) or (isinstance(data, list) and any(hasattr(v, "__array__") for v in data)):
        parts = list(data)
        while parts and parts[-1] is None:
            parts.pop()
        return tuple(_arrays(part, subject) for part in parts)
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise InvalidInput(
            f"{subject} gave rows of different lengths ({one_line(error)}); pad them"
        ) from error
    if array.ndim == 0:
        raise InvalidInput(f"{subject} gave {data!r} where an array of examples is needed; {_RULE}")
    if array.dtype == object and not all(isinstance(v, (str, bytes)) for v in array.flat):
        raise InvalidInput(
            f"{subject} gave an array of Python objects, the first a "
            f"{describe_type(type(array.flat[0])) if array.size else 'nothing'}; give numbers or strings"
        )
    # As Keras does it with arrays: NumPy's default of 64 bits is not what models are made of.
    return array.astype(_float_type()) if array.dtype == np.float64 else array


def _float_type() -> str:
    keras = sys.modules.get("keras")
    return "float32" if keras is None else str(keras.config.floatx())


def _from_batches(make: Callable[[], Iterator[Any]], some: Iterable[Any], subject: str) -> Any:
    import tensorflow as tf

    first = [_batch(batch, subject) for batch in islice(some, 2)]
    if not first:
        raise InvalidInput(f"{subject} gave no batch; return data that is not empty")
    try:
        signature = tf.nest.map_structure(_common_spec, *first)
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"{subject} gave batches of different structure ({one_line(error)[:200]}); all must have the same"
        ) from error

    def batches() -> Iterator[Any]:
        for batch in make():
            yield _batch(batch, subject)

    # Nothing reads ahead: a thread that waits for Python would be waited for when Python ends.
    options = tf.data.Options()
    options.experimental_optimization.inject_prefetch = False
    return tf.data.Dataset.from_generator(batches, output_signature=signature).with_options(options)


def _batch(batch: Any, subject: str) -> Any:
    if not _is_arrays(batch):
        raise InvalidInput(f"{subject} gave a batch that is a {describe_type(type(batch))}; {_RULE}")
    return _arrays(batch, subject)


def _common_spec(*arrays: Any) -> Any:
    import tensorflow as tf

    if len({array.ndim for array in arrays}) > 1:
        raise ValueError("arrays of different rank")
    sizes = [set(sizes) for sizes in zip(*(array.shape for array in arrays), strict=True)]
    shape = [None, *(next(iter(s)) if len(s) == 1 else None for s in sizes[1:])]
    return tf.TensorSpec(shape, tf.string if arrays[0].dtype.kind in "OSU" else arrays[0].dtype)


def _check(dataset: Any, subject: str) -> None:
    """Raises InvalidInput for what cannot be batches of (features[, labels[, weights]])."""
    import tensorflow as tf

    spec = dataset.element_spec
    if isinstance(spec, tuple) and not 1 <= len(spec) <= 3:
        raise InvalidInput(
            f"{subject} gave batches of {len(spec)} parts, {shapes(spec)}; they must be features, "
            "(features, labels) or (features, labels, weights)"
        )
    missing = type(tf.type_spec_from_value(None)), tf.OptionalSpec
    for leaf in tf.nest.flatten(spec):
        if isinstance(leaf, missing):
            continue  # a part that is not there
        if not isinstance(leaf, tf.TypeSpec) or not hasattr(leaf, "shape"):
            raise InvalidInput(f"{subject} gave {shapes(spec)}, which are not batches of tensors; {_RULE}")
        if leaf.shape.rank == 0:
            raise InvalidInput(
                f"{subject} gave {shapes(spec)}, single examples instead of batches; call "
                f"dataset.batch({BATCH})"
            )
    if int(dataset.cardinality()) == 0:
        raise InvalidInput(f"{subject} gave no batch; return data that is not empty")
