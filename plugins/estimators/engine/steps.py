"""Builds the compiled loops: n steps of training or evaluation in one call, one trace for every n."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

from expcore.errors import ExpcoreError, InvalidInput, NotCompiled
from expcore_plugins.estimators.engine.batches import check_rows, with_rows_unknown
from expcore_plugins.estimators.engine.calls import Loop, Made, count_of, floats, named_logs
from expcore_plugins.estimators.engine.coordinator import Coordinator
from expcore_plugins.estimators.engine.devices import container_of
from expcore_plugins.estimators.engine.joint import joint_loop
from expcore_plugins.estimators.engine.parts import parts
from expcore_plugins.estimators.engine.replicas import Alone
from expcore_plugins.estimators.engine.state import LiveState
from expcore_plugins.estimators.engine.trainable import Asynchronous, Shared, Trainable
from expcore_plugins.estimators.engine.workers import Workers

_LOG = logging.getLogger(__name__)


Replicas = Alone | Workers
"""The processes that make training steps; a Coordinator is alone with its checkpoints."""


class StepBuilder:
    """Makes the loops of a model, one for each structure of the input, and keeps them.

    Args:
        state: the model and the global step, which training counts up; it is told which variables steps use:
            of traced ones those, of eager ones all that are in the attributes of the model.
        window: the training metrics begin anew before each step whose global step is a multiple of this;
            0: never.
        replicas: the processes that make training steps.
    """

    def __init__(self, state: LiveState, window: int, replicas: Replicas) -> None:
        self._state, self._model, self._step, self._window = state, state.trainable, state.step, window
        self._replicas = replicas
        self._loops: dict[tuple[str, str, bool], Any] = {}

    def train(self, spec: Any) -> Loop:
        """Returns the training loop for input of this structure."""
        return self._kept("train", spec, lambda: self._loop(self._model.train_step, spec, training=True))

    def test(self, spec: Any) -> Loop:
        """Returns the evaluation loop for input of this structure.

        Raises:
            NotCompiled: the model has no loss to evaluate.
        """
        with self._model.apart():
            return self._kept("test", spec, lambda: self._loop(self._model.test_step, spec, training=False))

    def predict(self, spec: Any) -> Callable[[Any], Any]:
        """Returns the function that gives the predictions for a batch of this structure."""
        with self._model.apart():
            return self._kept("predict", spec, lambda: self._predict(spec))

    def _kept(self, kind: str, spec: Any, make: Callable[[], Any]) -> Any:
        key = (kind, repr(spec), getattr(self._replicas, "reading", None))
        if key not in self._loops:
            with explained(self._model, spec):
                self._loops[key] = make()
        return self._loops[key]

    def _traced(self, function: Callable[[Any], Any], spec: Any) -> Any:
        """The step as one function; it is traced here, which also makes what variables are missing."""
        import tensorflow as tf

        compiled = tf.function(function, jit_compile=self._model.jit_compile or None, autograph=False)
        step = compiled.get_concrete_function(spec)
        self._state.touched.extend(step.variables)
        return step

    def _predict(self, spec: Any) -> Callable[[Any], Any]:
        model = self._model
        return model.predict_step if model.run_eagerly else self._traced(model.predict_step, spec)

    def _loop(self, function: Callable[[Any], Any], spec: Any, *, training: bool) -> Loop:
        import tensorflow as tf

        before = partial(self._begin_window, self._window) if training and self._window else None
        counter = self._step if training else None
        if self._model.run_eagerly:
            if training:
                self._look(spec)
            return partial(_run_eagerly, function, before, counter)
        if training and isinstance(self._replicas, Coordinator):
            return self._scheduled(self._replicas, function, spec)
        joint = training and isinstance(self._replicas, Workers)
        if joint:
            check_rows(spec, f"input {shapes(spec)}")
            self._model.prepare(spec)
        step = self._traced(function, with_rows_unknown(spec) if joint else spec)
        if training:
            self._state.used.extend(_used_by(step))
        if joint:
            return joint_loop(step, spec, before, counter, self._replicas, cast("Shared", self._model))
        fused = tf.function(_fused(step, spec, before, counter), autograph=False)
        # One trace serves every n and every iterator. Made here, it is not counted as a retracing by
        # TensorFlow, which would warn of the fifth estimator in a process.
        loop = fused.get_concrete_function(tf.data.IteratorSpec(spec), tf.TensorSpec((), tf.int64))
        return partial(_run_fused, loop, [name for name, _ in named_logs(step.structured_outputs)])

    def _scheduled(self, coordinator: Coordinator, function: Callable[[Any], Any], spec: Any) -> Loop:
        """The loop of a coordinator, whose metrics begin anew between calls."""
        with coordinator.scope():
            self._model.prepare(spec)
        begun = -1

        def begin_window(step: int) -> None:
            nonlocal begun
            if self._window and step // self._window != begun:
                begun = step // self._window
                self._model.reset_metrics()

        model = cast("Asynchronous", self._model)
        return coordinator.training_loop(
            function, spec, self._step, before=begin_window, metrics=model.metrics
        )

    def _look(self, spec: Any) -> None:
        """Makes and finds the variables of a step that will run in Python, as tracing it would."""
        try:
            self._model.prepare(spec)
        except Exception as error:  # a model of its own kind may train all the same
            _LOG.warning(
                "model %r runs eagerly, and cannot be tried before (%s): variables that its first step makes "
                "begin anew after a restart",
                self._model.name,
                _first_line(error),
            )
        self._state.used.extend(n.variable for part in parts(self._model.native) for n in part.variables)

    def _begin_window(self, window: int) -> None:
        import tensorflow as tf

        def reset() -> None:
            self._model.reset_metrics()

        tf.cond(tf.equal(self._step % window, 0), lambda: _nothing(reset), lambda: _nothing(None))


def _used_by(step: Any) -> list[Any]:
    """The variables that a traced step uses, in the order of their first use.

    TensorFlow gives them in the order of their addresses, which is another in each process.
    """
    places = {id(tensor): i for i, tensor in enumerate(step.captured_inputs)}
    found = sorted(step.variables, key=lambda v: places[id(v.handle)])
    return list({id(v): v for v in map(container_of, found)}.values())


def _nothing(function: Callable[[], None] | None) -> Any:
    """Runs a function for its effect, as a branch of a condition."""
    import tensorflow as tf

    if function is not None:
        function()
    return tf.constant(0)


def _fused(step: Any, spec: Any, before: Callable[[], None] | None, counter: Any) -> Callable[..., Any]:
    """At most n steps over an iterator, as a graph.

    The next batch is taken at the end of a step, only if it will be used: one condition a step is enough,
    the position in the input is exact, and input that ends makes no step too many.
    """
    import tensorflow as tf

    outputs = [t for _, t in named_logs(step.structured_outputs)]
    shapes_kept = [t.shape for t in outputs]

    def loop(iterator: Any, n: Any) -> Any:
        def going_on(_: Any, batch: Any, *__: Any) -> Any:
            return batch.has_value()

        def body(done: Any, batch: Any, *_: Any) -> Any:
            if before is not None:
                before()
            logs = [t for _, t in named_logs(step(batch.get_value()))]
            if counter is not None:
                counter.assign_add(1)
            done += 1
            following = tf.cond(
                done < n, iterator.get_next_as_optional, lambda: tf.experimental.Optional.empty(spec)
            )
            return done, following, *logs

        start = [tf.zeros([d or 0 for d in t.shape], t.dtype) for t in outputs]
        # A call of no step takes no batch: it measures what a call costs.
        first = tf.cond(n > 0, iterator.get_next_as_optional, lambda: tf.experimental.Optional.empty(spec))
        optional = tf.OptionalSpec(spec)
        done, _, *logs = tf.while_loop(
            going_on,
            body,
            (tf.constant(0, tf.int64), first, *start),
            shape_invariants=(tf.TensorShape(()), optional, *shapes_kept),
        )
        return done, logs

    return loop


def _run_fused(loop: Any, names: list[str], iterator: Any, n: int) -> Made:
    done, logs = loop(iterator, count_of(n))
    made = int(done)
    return Made(made, made == n, lambda: floats(zip(names, logs, strict=True)))


def _run_eagerly(
    function: Callable[[Any], Any], before: Callable[[], None] | None, counter: Any, iterator: Any, n: int
) -> Made:
    """The same for a model compiled with ``run_eagerly=True``, which is asked for to look into a step."""
    logs: Any = None
    done = 0
    while done < n:
        batch = iterator.get_next_as_optional()
        if not batch.has_value():
            break
        if before is not None:
            before()
        logs = function(batch.get_value())
        done += 1
        if counter is not None:
            counter.assign_add(1)
    return Made(done, done == n, lambda: floats(named_logs(logs)))


@contextmanager
def explained(model: Trainable, spec: Any) -> Iterator[None]:
    """Says in one line what does not fit where a step cannot be built."""
    import tensorflow as tf

    try:
        yield
    except ExpcoreError:
        raise
    except (ValueError, tf.errors.InvalidArgumentError) as error:
        cause = _first_line(error)
        if "No loss to compute" in cause:
            raise NotCompiled(
                f"model {model.name!r} has no loss to compute; give model.compile() a loss=, or override "
                "train_step() and test_step()"
            ) from error
        raise InvalidInput(
            f"input {shapes(spec)} does not fit model {model.name!r}: {cause}; change what the input "
            "function returns, or the model"
        ) from error
    except Exception as error:  # an error in the user's code stays what it is
        error.add_note(f"raised while the steps of model {model.name!r} were built for {shapes(spec)}")
        raise


def _first_line(error: BaseException) -> str:
    """The line that tells: Keras puts the place of the call on the first one and the reason on the next."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].startswith("Exception encountered when calling"):
        lines = lines[1:]
    return (lines[0] if lines else type(error).__name__)[:300].rstrip(".:")


def shapes(spec: Any) -> str:
    """Returns types and shapes of a structure of specs, for people."""
    if isinstance(spec, Mapping):
        return "{" + ", ".join(f"{k!r}: {shapes(v)}" for k, v in spec.items()) + "}"
    if isinstance(spec, (tuple, list)):
        return "(" + ", ".join(map(shapes, spec)) + ")"
    shape, dtype = getattr(spec, "shape", None), getattr(spec, "dtype", None)
    if shape is None or dtype is None:
        return type(spec).__name__
    return f"{dtype.name}{list(shape) if shape.rank is not None else '[...]'}"
