"""Two processes that make every step together: expcore, and loops by hand under the same strategy."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import Any

from benchmarks import data, models
from benchmarks.case import Case
from benchmarks.peers import own
from benchmarks.peers.session import Place, Sessions


def part(case: Case, pipelines: int) -> Case:
    """Returns the case with the rows of a batch that one of so many processes has."""
    return replace(case, batch=case.batch // pipelines)


class OwnData(own.Steady):
    """expcore, where each process reads its own part of a batch."""

    def __init__(self, case: Case, place: Place) -> None:
        super().__init__(case, place)

        def read(input_context: Any) -> Any:
            return data.training(part(case, input_context.num_input_pipelines), place.data)

        self._input_fn = read


def _strategy() -> Any:
    """The strategy that expcore has made in this process: TensorFlow joins one cluster, and once."""
    from expcore_plugins.estimators.engine import joining

    (strategy,) = joining._JOINED.values()
    return strategy


class Loop:
    """Keras's ``train_step`` under ``strategy.run`` in a ``tf.range`` loop in one ``tf.function``.

    Args:
        distributed: whether ``experimental_distribute_dataset`` deals the batches; else each process reads
            its own part.
    """

    def __init__(self, case: Case, place: Place, *, distributed: bool) -> None:
        import tensorflow as tf

        strategy = _strategy()
        with strategy.scope():
            model = models.compiled(case)
            model.optimizer.build(model.trainable_variables)
        if distributed:
            options = tf.data.Options()  # there is one file
            options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
            dataset = data.training(case, place.data).with_options(options)
            iterator = iter(strategy.experimental_distribute_dataset(dataset))
        else:
            iterator = iter(data.training(part(case, strategy.num_replicas_in_sync), place.data))

        @tf.function
        def loop(iterator: Any, n: Any) -> None:
            for _ in tf.range(n):
                strategy.run(model.train_step, args=(next(iterator),))

        self._model, self._iterator, self._loop = model, iterator, loop

    def first(self) -> float:
        """Makes one step."""
        self.round(1)
        return time.time()

    def round(self, units: int) -> float:
        """Makes so many steps."""
        import tensorflow as tf

        self._loop(self._iterator, tf.constant(2))  # the processes come together
        start = time.perf_counter()
        self._loop(self._iterator, tf.constant(units))
        self._model.optimizer.iterations.value.numpy()
        return time.perf_counter() - start


SESSIONS: Sessions = {
    ("together", "expcore"): own.Steady,  # the first, which joins the cluster
    ("together", "expcore, data of its own"): OwnData,
    ("together", "strategy loop"): partial(Loop, distributed=True),
    ("together", "strategy loop, data of its own"): partial(Loop, distributed=False),
}
