"""The simulation of clusters: one virtual time for all, and curves that make sense."""

from __future__ import annotations

import pytest

from benchmarks.scaling.runs import Costs, evaluator_lag, first_steps, useful
from benchmarks.scaling.world import World
from expcore.cluster import delay_secs_for


def test_processes_run_in_the_order_of_their_time():
    world, told = World(), []

    def program(name, secs):
        def run(clock):
            for _ in range(2):
                clock.sleep(secs)
                told.append((name, clock.time()))

        return run

    world.run([program("slow", 3.0), program("fast", 2.0)])
    assert told == [("fast", 2.0), ("slow", 3.0), ("fast", 4.0), ("slow", 6.0)]
    assert world.now == 6.0


def test_what_a_process_raises_ends_the_world():
    def wrong(clock):
        clock.sleep(1)
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        World().run([wrong])


def test_workers_start_by_the_rule_of_delays():
    assert first_steps(16) == sorted(float(delay_secs_for(i)) for i in range(16))


def test_an_evaluator_that_is_fast_enough_evaluates_all_and_a_slow_one_the_newest():
    fast = evaluator_lag(1, save_secs=60.0, eval_secs=30.0, saves=10)
    assert (fast.median, fast.evaluated) == (30.0, 1.0)
    slow = evaluator_lag(1, save_secs=60.0, eval_secs=240.0, saves=20)
    assert slow.evaluated < 0.5
    assert slow.longest < 6 * 60.0


def test_more_workers_lose_more_time():
    parts = [useful(n, 600.0, Costs(), hours=6.0) for n in (1, 512, 4096)]
    assert 1.0 > parts[0] > parts[1] > parts[2] > 0.0


def test_a_step_of_more_workers_takes_longer_and_sends_hardly_more():
    costs = Costs(latency_secs=0.0)
    assert costs.step_secs(1) == costs.compute_secs
    assert costs.step_secs(4096) < costs.compute_secs + 2 * costs.gradient_bytes / costs.network
