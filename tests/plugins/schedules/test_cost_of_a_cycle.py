"""What expcore does for a cycle of training, saving and evaluating does not grow with those before it."""

from __future__ import annotations

import sys

import pytest

from expcore.cluster import RunConfig
from expcore.experiment import Experiment
from expcore.testing import NumpyEstimator, PluginSandbox, VirtualClock

CYCLES = 240


class Calls:
    """A hook of evaluations that counts the function calls from each one's end to the next one's."""

    def __init__(self):
        self.of_cycle, self._calls = [], 0

    def end(self, run):
        self.of_cycle.append(self._calls)
        self._calls = 0
        sys.setprofile(self._count)

    def _count(self, frame, event, argument):
        self._calls += event in ("call", "c_call")


def counted(schedule, tmp_path, **arguments):
    calls = Calls()
    clock = VirtualClock()
    config = RunConfig(model_dir=str(tmp_path), save_checkpoints_steps=1, keep_checkpoint_max=3)
    experiment = Experiment(
        NumpyEstimator(config=config, clock=clock),
        train_input_fn=lambda: [([[1.0]], [1.0])] * CYCLES,
        eval_input_fn=lambda: [([[1.0]], [1.0])],
        train_steps=CYCLES,
        eval_hooks=[calls],
        clock=clock,
        plugins=PluginSandbox(builtins=True, disable=["plugins/default_hooks"]).host,
        **arguments,
    )
    try:
        experiment.run(schedule)
    finally:
        sys.setprofile(None)
    return calls.of_cycle


def middle(calls):
    return sorted(calls)[len(calls) // 2]


@pytest.mark.parametrize(
    ("schedule", "options"),
    [
        ("train_and_evaluate", {"eval_every_n_steps": 1}),
        ("continuous_train_and_eval", {"train_steps_per_iteration": 1}),
    ],
)
def test_a_late_cycle_makes_no_more_calls_than_an_early_one(schedule, options, tmp_path):
    calls = counted(schedule, tmp_path, **options)
    assert len(calls) >= CYCLES
    early, late = middle(calls[20:40]), middle(calls[-30:-10])
    assert early > 100, "there is something to count"
    assert late <= 1.02 * early
