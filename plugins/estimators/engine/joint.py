"""The compiled training loop of several processes: they agree in it on how many steps it makes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from expcore_plugins.estimators.engine.batches import fingerprint, with_rows_checked
from expcore_plugins.estimators.engine.calls import Loop, Made, count_of, floats, named_logs
from expcore_plugins.estimators.engine.trainable import Shared
from expcore_plugins.estimators.engine.workers import Workers


def joint_loop(
    step: Any, spec: Any, before: Callable[[], None] | None, counter: Any, workers: Workers, model: Shared
) -> Loop:
    """Returns the loop that makes as many steps as the process that wants the fewest.

    Args:
        step: the traced step of this process.
        spec: the structure of a batch.
        before: called in the graph before each step; None: nothing is.
        counter: the global step, which is counted up.
        workers: the processes; each makes this loop and calls it as often as the others.
        model: its ``finished`` gives what is told of the last step.
    """
    import tensorflow as tf

    names = [name for name, _ in named_logs(step.structured_outputs)]
    graph = _graph(step, spec, before, counter, workers, partial(model.finished, names))
    loop = tf.function(graph, autograph=False).get_concrete_function(
        tf.data.IteratorSpec(spec), tf.TensorSpec((), tf.int64)
    )
    return partial(_run, workers, loop, names)


def _graph(
    step: Any,
    spec: Any,
    before: Callable[[], None] | None,
    counter: Any,
    workers: Workers,
    finished: Callable[[list[Any]], list[Any]],
) -> Callable[..., Any]:
    import tensorflow as tf

    outputs = [t for _, t in named_logs(step.structured_outputs)]
    shapes_kept = [t.shape for t in outputs]

    def nothing() -> Any:
        return tf.experimental.Optional.empty(spec)

    def loop(iterator: Any, wanted: Any) -> Any:
        n = workers.least(wanted)

        def following(done: Any) -> tuple[Any, Any]:
            batch = tf.cond(done < n, iterator.get_next_as_optional, nothing)
            return batch, workers.everyone(batch.has_value())

        def body(done: Any, _: Any, batch: Any, *__: Any) -> Any:
            if before is not None:
                before()
            logs = [t for _, t in named_logs(step(with_rows_checked(batch.get_value())))]
            counter.assign_add(1)
            done += 1
            batch, more = following(done)
            return done, more, batch, *logs

        start = [tf.zeros([d or 0 for d in t.shape], t.dtype) for t in outputs]
        first, some = following(tf.constant(0, tf.int64))
        same = workers.same(_look(first, some)) if workers.reading.shared else tf.constant(True)
        done, _, _, *logs = tf.while_loop(
            lambda _, more, *__: more,
            body,
            (tf.constant(0, tf.int64), some, first, *start),
            shape_invariants=(
                tf.TensorShape(()),
                tf.TensorShape(()),
                tf.OptionalSpec(spec),
                *shapes_kept,
            ),
        )
        return done, tf.equal(done, n), same, finished(logs)

    return loop


def _look(batch: Any, some: Any) -> Any:
    import tensorflow as tf

    return tf.cond(some, lambda: fingerprint(batch.get_value()), lambda: tf.constant(0, tf.int64))


def _run(workers: Workers, loop: Any, names: list[str], iterator: Any, n: int) -> Made:
    with workers.waits():
        done, more, same, logs = loop(iterator, count_of(n))
        done = int(done)
    return Made(done, bool(more), lambda: floats(zip(names, logs, strict=True)), bool(same))
