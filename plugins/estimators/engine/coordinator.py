"""A coordinator: workers make the training steps, each when it can, on variables of parameter servers."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from expcore.errors import PeerLost
from expcore_plugins.estimators.engine.calls import Loop, Made, floats, named_logs
from expcore_plugins.estimators.engine.messages import reason
from expcore_plugins.estimators.engine.pulse import Pulse
from expcore_plugins.estimators.engine.quiet import in_a_line
from expcore_plugins.estimators.engine.replicas import Alone

_LOOK_SECS = 1.0
_PIECES = 2  # that a call is cut into for each worker, so that a slow one holds up little


class Coordinator(Alone):
    """The process that gives the workers their work; it alone has checkpoints, evaluations and hooks.

    Steps of different workers do not wait for each other: each uses the variables as they are when it reads
    them. A worker that dies is replaced by the others until it comes back, and what it was at is done again,
    so that a call may make more steps than were asked for, never fewer. The global step counts what was done.

    Args:
        strategy: a ``tf.distribute.ParameterServerStrategy``.
        coordinator: its ``ClusterCoordinator``.
        workers: how many there are.
        pulse: finds out who is lost.
    """

    def __init__(self, strategy: Any, coordinator: Any, workers: int, pulse: Pulse) -> None:
        self._strategy, self._coordinator, self._workers = strategy, coordinator, workers
        self._pulse = pulse

    def scope(self) -> AbstractContextManager[Any]:
        """A context in which variables are made on the parameter servers."""
        return self._strategy.scope()  # type: ignore[no-any-return]

    def iterators(self, dataset: Any) -> Any:
        """Returns an iterator over a dataset in each worker."""
        return iter(self._coordinator.create_per_worker_dataset(dataset))

    def training_loop(
        self,
        step: Callable[[Any], Any],
        spec: Any,
        counter: Any,
        *,
        before: Callable[[int], None],
        metrics: Callable[[], Mapping[str, Any]],
    ) -> Loop:
        """Returns the loop that has the workers make steps.

        Args:
            step: makes a step on a batch.
            spec: the structure of a batch.
            counter: the global step, which is counted up.
            before: called before each call with the global step.
            metrics: returns the metrics of now; they are told where a step returns those names.
        """
        import tensorflow as tf

        names: list[str] = []

        def one(batch: Any) -> list[Any]:
            logs = list(named_logs(step(batch)))
            names[:] = [name for name, _ in logs]
            counter.assign_add(1)
            return [tensor for _, tensor in logs]

        @tf.function(autograph=False)
        def work(iterator: Any, n: Any) -> Any:
            first = iterator.get_next_as_optional()
            shapes = self._shapes(one, spec)

            def body(done: Any, batch: Any, *_: Any) -> Any:
                logs = self._strategy.run(one, args=(batch.get_value(),))
                done += 1
                following = tf.cond(
                    done < n, iterator.get_next_as_optional, lambda: tf.experimental.Optional.empty(spec)
                )
                return done, following, *logs

            start = [tf.zeros([d or 0 for d in s.shape], s.dtype) for s in shapes]
            done, _, *logs = tf.while_loop(
                lambda _, batch, *__: batch.has_value(),
                body,
                (tf.constant(0, tf.int64), first, *start),
                shape_invariants=(tf.TensorShape(()), tf.OptionalSpec(spec), *(s.shape for s in shapes)),
            )
            return done, logs

        def call(iterator: Any, n: int) -> Made:
            start = int(counter.read_value())
            before(start)
            more, logs = self._work(work, iterator, n)
            done = int(counter.read_value()) - start
            return Made(done, more, lambda: floats(_told(dict(zip(names, logs, strict=True)), metrics())))

        return call

    def _shapes(self, one: Callable[[Any], list[Any]], spec: Any) -> list[Any]:
        """The shapes of what a step returns, found by tracing it once."""
        import tensorflow as tf

        traced = tf.function(lambda batch: self._strategy.run(one, args=(batch,)), autograph=False)
        return [tf.TensorSpec(t.shape, t.dtype) for t in traced.get_concrete_function(spec).outputs]

    def _work(self, work: Any, iterator: Any, n: int) -> tuple[bool, list[Any]]:
        """Has n steps made; returns whether there may be more data, and what the last step returned."""
        import tensorflow as tf

        pieces = self._pieces(n)
        values = [
            self._coordinator.schedule(work, args=(iterator, tf.constant(piece, tf.int64)))
            for piece in pieces
        ]
        self._join()
        made = [value.fetch() for value in values]
        more = all(int(done) == piece for (done, _), piece in zip(made, pieces, strict=True))
        return more, made[-1][1] if made else []

    def _join(self) -> None:
        """Waits for the workers, and no longer for who is lost."""
        done, failures = threading.Event(), []

        def join() -> None:
            try:
                self._coordinator.join()
            except BaseException as failure:  # raised below
                failures.append(failure)
            done.set()

        threading.Thread(target=join, name="expcore-join", daemon=True).start()
        while not done.wait(_LOOK_SECS):
            self._pulse.check()
        if failures:
            raise failures[0]
        self._pulse.worked()

    def _pieces(self, n: int) -> list[int]:
        """Steps of the functions that a call is cut into."""
        if n == 0:
            return []
        size = max(1, math.ceil(n / (_PIECES * self._workers)))
        whole, rest = divmod(n, size)
        return [size] * whole + ([rest] if rest else [])

    @contextmanager
    def watched(self) -> Iterator[None]:
        """A context in which the loss of a parameter server, or of workers for good, is told as such.

        Raises:
            PeerLost: so it is.
        """
        import tensorflow as tf

        try:
            with in_a_line(), self._pulse.felt():
                yield
        except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError) as error:
            raise PeerLost(
                f"a parameter server is lost ({reason(error)}); restart the cluster: training goes on from "
                "the last checkpoint"
            ) from error


def _told(logs: Mapping[str, Any], metrics: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """Metrics over all workers, where those are what a step returned; else what the last step did."""
    return {name: metrics[name] for name in logs}.items() if set(logs) <= set(metrics) else logs.items()
