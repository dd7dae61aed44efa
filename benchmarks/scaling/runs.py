"""What is simulated: real schedules over the NumPy estimator, whose data take virtual time."""

from __future__ import annotations

import random
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

import numpy as np

import expcore
from benchmarks.scaling.world import World, WorldClock
from expcore.cluster import parse_tf_config
from expcore.errors import PeerLost
from expcore.testing import NumpyEstimator

X = np.ones((1, 1))
DAY = 86_400.0


class Costs(NamedTuple):
    """A machine and a model, in seconds and bytes.

    Attributes:
        compute_secs: of a step on one worker.
        gradient_bytes: that are summed in each step.
        network: bytes a second between two workers.
        latency_secs: of a message.
        save_secs: that a checkpoint holds up training.
        restart_secs: from a loss to the first step after it: noticing, starting, importing, building.
        between_losses_secs: of one worker, on average.
    """

    compute_secs: float = 0.5
    gradient_bytes: float = 4e8
    network: float = 3e9
    latency_secs: float = 20e-6
    save_secs: float = 5.0
    restart_secs: float = 120.0
    between_losses_secs: float = 60 * DAY

    def step_secs(self, workers: int) -> float:
        """Returns the time of a step that so many make together, by a ring of messages."""
        messages = 2 * (workers - 1)
        return self.compute_secs + messages * (
            self.gradient_bytes / workers / self.network + self.latency_secs
        )


def _data(clock: WorldClock, secs: float, look: Callable[[], None] = lambda: None) -> Callable[[], Iterator]:
    """Batches without end, each of which takes its time."""

    def batches():
        while True:
            look()
            clock.sleep(secs)
            yield X, X[:, 0]

    return batches


def first_steps(workers: int) -> list[float]:
    """When each of so many workers of the 2017 kind makes its first step, by the rule of delays."""
    world, found = World(), []
    cluster = {"chief": ["c:1"], "ps": ["p:1"], "worker": [f"w{i}:1" for i in range(workers)]}

    def worker(index: int) -> Callable[[WorldClock], None]:
        def program(clock: WorldClock) -> None:
            with tempfile.TemporaryDirectory() as place:
                task = parse_tf_config({"cluster": cluster, "task": {"type": "worker", "index": index}})
                config = expcore.RunConfig(model_dir=place, task=task)
                estimator = NumpyEstimator(config=config, clock=clock)
                data = _data(clock, 1.0, lambda: found.append(clock.time()))
                expcore.Experiment(estimator, data, data, train_steps=1, clock=clock).train()

        return program

    world.run([worker(i) for i in range(workers)])
    return sorted(found)


class Lag(NamedTuple):
    """How an evaluator follows: seconds from a save to the end of its evaluation, and the part evaluated."""

    median: float
    longest: float
    evaluated: float


def evaluator_lag(evaluators: int, save_secs: float, eval_secs: float, saves: int = 40) -> Lag:
    """Follows a training of so many checkpoints; real ``train`` and ``continuous_eval``."""
    world = World()
    saved: dict[int, float] = {}
    done: dict[int, float] = {}
    steps = 10

    class Saved:
        def begin(self):
            pass

        def after_save(self, session, step):
            saved[step] = world.now

    class Evaluated:
        def end(self, run):
            done.setdefault(run.step, world.now)

    with tempfile.TemporaryDirectory() as place:

        def experiment(clock: WorldClock) -> expcore.Experiment:
            config = expcore.RunConfig(model_dir=place, save_checkpoints_steps=steps, keep_checkpoint_max=5)
            return expcore.Experiment(
                NumpyEstimator(config=config, clock=clock),
                _data(clock, save_secs / steps),
                _data(clock, eval_secs),
                train_steps=steps * saves,
                eval_steps=1,
                eval_hooks=[Evaluated()],
                saving_listeners=[Saved()],
                continuous_eval_throttle_secs=0,
                clock=clock,
            )

        world.run(
            [lambda clock: experiment(clock).train()]
            + [lambda clock: experiment(clock).continuous_eval()] * evaluators
        )
    lags = [done[step] - saved[step] for step in done]
    return Lag(statistics.median(lags), max(lags), len(done) / len(saved))


_CHUNK_SECS = 10.0  # of steps that are simulated as one


def useful(workers: int, every_secs: float, costs: Costs, seed: int = 1, hours: float = 24.0) -> float:
    """The part of the time that synchronous workers spend on steps that last, where one is lost at times.

    The whole group then starts again from its last checkpoint. The chief runs the real ``train``.
    """
    world, chance = World(), random.Random(f"{seed} {workers} {every_secs}")
    whole = round(hours * 3600 / _CHUNK_SECS)
    rate = workers / costs.between_losses_secs
    reached = 0

    def program(clock: WorldClock) -> None:
        nonlocal reached
        lost_at = chance.expovariate(rate)

        class Save:
            def begin(self):
                pass

            def before_save(self, session, step):
                clock.sleep(costs.save_secs)

        class Steps:
            """What the steps take; data that took it would take it again when they are read again."""

            def next_step(self, step):
                return step + 1

            def after_steps(self, run):
                clock.sleep(_CHUNK_SECS)
                if clock.time() >= lost_at:
                    raise PeerLost("a worker is lost")

        with tempfile.TemporaryDirectory() as place:
            config = expcore.RunConfig(model_dir=place, save_checkpoints_secs=every_secs)
            while reached < whole and clock.time() < 10 * hours * 3600:
                estimator = NumpyEstimator(config=config, clock=clock)
                data = _data(clock, 0.0)
                experiment = expcore.Experiment(
                    estimator,
                    data,
                    data,
                    train_steps=whole,
                    train_hooks=[Steps()],
                    saving_listeners=[Save()],
                    clock=clock,
                )
                with suppress(PeerLost):
                    experiment.train()
                    reached = whole
                    return
                reached = experiment.history.saves[-1].step if experiment.history.saves else 0
                clock.sleep(costs.restart_secs)
                lost_at = clock.time() + chance.expovariate(rate)

    world.run([program])
    return reached * _CHUNK_SECS / world.now
