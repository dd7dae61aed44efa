"""Where training stands in its input: the iterator that is kept from call to call and from run to run."""

from __future__ import annotations

import atexit
import logging
import weakref
from collections.abc import Callable
from typing import Any

from expcore.calling import describe
from expcore.errors import InvalidInput
from expcore_plugins.estimators.engine import shuffles
from expcore_plugins.estimators.engine.inputs import ONE, Pipeline, open_input
from expcore_plugins.estimators.engine.messages import brief
from expcore_plugins.estimators.engine.saved import SavedCheckpoint
from expcore_plugins.estimators.engine.seeds import seed_data, seed_of_pass

_LOG = logging.getLogger(__name__)

_AT_ONCE = 100  # batches that are passed over in a call

_OPEN: weakref.WeakSet[Position] = weakref.WeakSet()


@atexit.register
def _close() -> None:
    """Lets go of the iterators while Python still runs, whose threads may be waiting for it."""
    for position in list(_OPEN):
        position.iterator = None


def same_function(a: Any, b: Any) -> bool:
    """Whether two input functions are one; a method is another object each time it is asked for."""
    if a is b:
        return True
    bound = getattr(a, "__self__", None) is getattr(b, "__self__", None) is not None
    return bound and getattr(a, "__func__", a) is getattr(b, "__func__", None)


class Position:
    """The iterator over the training input.

    Args:
        seed: of the data; what the input function draws hangs on it alone. None: not seeded.
        pipeline: which of several processes this is.

    Attributes:
        input_fn: the function that gave the data; None before the first one.
        iterator: the ``tf.data.Iterator``.
        ended: whether it gave its last batch.
        number: of the pass over the data, from 0.
        taken: batches of this pass so far; None: not known.
    """

    def __init__(self, seed: int | None, pipeline: Pipeline = ONE) -> None:
        self._seed, self._pipeline = seed, pipeline
        self.input_fn: Any = None
        self._input: Any = None
        self._savable: bool | None = None  # not known yet
        self._told = False
        self._why = ""  # the position cannot be saved
        self.iterator: Any = None
        self.ended = False
        self.number = 0
        self.taken: int | None = 0
        _OPEN.add(self)

    @property
    def spec(self) -> Any:
        """The structure of a batch."""
        return self._input.spec

    @property
    def shared(self) -> bool:
        """Whether each of several processes reads all of the data."""
        return bool(self._input.shared)

    @property
    def endless(self) -> bool:
        """Whether the data are known to have no end."""
        import tensorflow as tf

        return int(self._input.dataset.cardinality()) == tf.data.INFINITE_CARDINALITY

    def open(self, input_fn: Callable[[], Any]) -> None:
        """Goes on with the data, or begins anew where they ended or are another function's.

        Raises:
            InvalidType, InvalidInput: as ``open_input``.
        """
        if self._input is not None and same_function(input_fn, self.input_fn):
            if self.ended:
                self.begin_anew("the input had ended")
            return
        if self.input_fn is not None:
            _LOG.info(
                "training goes on with the input function %s instead of %s: its data begin anew",
                describe(input_fn),
                describe(self.input_fn),
            )
        self.input_fn, self._input, self._savable = input_fn, None, None
        self._open_pass(0)

    def forget(self) -> None:
        """Leaves the input, as if no call had been made."""
        self.input_fn = self._input = None

    def begin_anew(self, why: str) -> None:
        """Makes another pass over the same input."""
        _LOG.info("%s: the data of %s begin anew", why, describe(self.input_fn))
        self._open_pass(self.number + 1)

    def _open_pass(self, number: int) -> None:
        """Begins a pass, whose order hangs on the seed and its number alone.

        TensorFlow does not save how a shuffle whose pass has ended would go on. So where there is a seed, the
        input function is asked for each pass.
        """
        self.number = number
        if self._input is None or self._seed is not None or not self._input.again:
            seed_data(seed_of_pass(self._seed, number))
            self._input = open_input(self.input_fn, self._pipeline)
        self._begin()

    def _begin(self) -> None:
        self.iterator = iter(self._input.dataset)
        self.ended, self.taken = False, 0

    def made(self, steps: int, more: bool) -> None:
        """Notes that a call has taken so many batches, and whether there may be more."""
        self.ended = not more
        if self.taken is not None:
            self.taken += steps

    def probe(self) -> None:
        """Finds out, once for an input, whether its position can be saved; says once if not."""
        if self._savable is None:
            self._savable = self._can_be_saved()
        if not self._savable and not self._told:
            self._told = True
            _LOG.warning(
                "the position in the data of %s cannot be saved (%s): checkpoints are written without it, "
                "and after a restart the data begin anew",
                describe(self.input_fn),
                self._why,
            )

    def _can_be_saved(self) -> bool:
        """Tries it; only TensorFlow knows whether all that an iterator is made of can be written."""
        import tensorflow as tf

        try:
            self._serialize()
            self._graph()  # parts that are made when they are first read are not in the iterator yet
        except (tf.errors.FailedPreconditionError, tf.errors.UnimplementedError) as error:
            python = "PyFunc" in str(error)
            self._why = "Python makes the batches" if python else f"TensorFlow: {brief(error)}"
            return False
        return True

    def _graph(self) -> Any:
        import tensorflow as tf

        return tf.raw_ops.DatasetToGraphV2(
            input_dataset=self._input.dataset._variant_tensor, external_state_policy=self._policy()
        )

    def _policy(self) -> int:
        import tensorflow as tf

        # Unless the user says otherwise, a part with a state that would be lost makes it fail: going on would
        # not be exact.
        asked = self._input.dataset.options().experimental_external_state_policy
        return int((asked or tf.data.experimental.ExternalStatePolicy.FAIL).value)

    def _serialize(self) -> Any:
        import tensorflow as tf

        with tf.device("cpu:0"):
            return tf.raw_ops.SerializeIterator(
                resource_handle=_resource(self.iterator), external_state_policy=self._policy()
            )

    def serialized(self) -> Any:
        """Returns the position as a tensor; None where it cannot be saved."""
        return self._serialize() if self._savable else None

    def restore(self, saved: SavedCheckpoint) -> None:
        """Goes to the position of a checkpoint; begins anew, and says so, where that does not fit the input.

        Raises:
            CheckpointCorrupt: the position cannot be read.
        """
        import tensorflow as tf

        if saved.passes != self.number:
            self._open_pass(saved.passes)
        if not (saved.has_iterator and self._savable):
            _LOG.info("checkpoint %s: the data begin anew, their position was not saved", saved.path)
            return
        if not self.shared and self._pipeline.index > 0:  # what is saved is the position of the first
            self._read_anew(saved, "another process's position was saved")
            return
        position = saved.position()
        if self._seed is not None and saved.taken is not None and self._lacks_shuffles(position):
            self._read_anew(saved, "it was saved where a shuffled pass ended, which TensorFlow does not keep")
            return
        try:
            tf.raw_ops.DeserializeIterator(resource_handle=_resource(self.iterator), serialized=position)
        except (tf.errors.OpError, ValueError) as error:
            _LOG.warning(
                "the position in checkpoint %s does not fit the data of %s (%s): they begin anew",
                saved.path,
                describe(self.input_fn),
                brief(error),
            )
            self._begin()
        else:
            self.taken = saved.taken

    def _lacks_shuffles(self, position: Any) -> bool:
        return shuffles.in_position(position) < shuffles.in_pipeline(self._graph())

    def _read_anew(self, saved: SavedCheckpoint, why: str) -> None:
        """Comes to a position that was not saved whole by the way that led there, which the seed fixes."""
        batches = saved.taken or 0
        _LOG.info("checkpoint %s: %s: the %d batches before it are read again", saved.path, why, batches)
        self._open_pass(saved.passes)
        self.taken = _pass_over(self.iterator, batches)
        if self.taken < batches:
            _LOG.warning(
                "the data of %s ended after %d batches, before the position in checkpoint %s: they begin "
                "anew",
                describe(self.input_fn),
                self.taken,
                saved.path,
            )
            self._begin()

    def not_shared(self) -> InvalidInput:
        """Returns the error for input that differs between the processes that share it."""
        return InvalidInput(
            f"input function {describe(self.input_fn)}: the processes of the cluster were given different "
            "batches, where each takes its rows of the same ones; seed what is drawn when the module is "
            "imported, make order certain, or name a parameter input_context and return this process's part"
        )

    def mixed(self) -> InvalidInput:
        """Returns the error for input that some processes share and others do not."""
        return InvalidInput(
            f"input function {describe(self.input_fn)}: some processes of the cluster read a part of their "
            "own, others the whole; name a parameter input_context in all of them, or in none"
        )

    def nothing_given(self) -> InvalidInput:
        """Returns the error for input without a single batch."""
        return InvalidInput(
            f"input function {describe(self.input_fn)} gave no batch; return data that is not empty"
        )


def _pass_over(iterator: Any, n: int) -> int:
    """Takes n batches and returns how many there were; in short calls, so that signals are served."""
    import tensorflow as tf

    @tf.function
    def take(n: Any) -> Any:
        def one(done: Any, _: Any) -> Any:
            more = iterator.get_next_as_optional().has_value()
            return done + tf.cast(more, tf.int64), more

        start = (tf.constant(0, tf.int64), tf.constant(True))
        return tf.while_loop(lambda done, more: more & (done < n), one, start)[0]

    done = 0
    while done < n:
        taken = int(take(tf.constant(min(_AT_ONCE, n - done), tf.int64)))
        if taken == 0:
            break
        done += taken
    return done


def _resource(iterator: Any) -> Any:
    import tensorflow as tf

    return tf.nest.flatten(iterator, expand_composites=True)[0]
