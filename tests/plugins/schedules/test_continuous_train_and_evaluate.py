"""The schedule continuous_train_and_evaluate: iterations of training and evaluation, while allowed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from expcore.cluster import RunConfig
from expcore.errors import InvalidArgument, StoppedBySignal
from expcore.experiment import Experiment
from expcore.testing import PluginSandbox, VirtualClock
from expcore.testing.numpy_estimator import NumpyEstimator


class Counting(NumpyEstimator):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.calls = []

    def train(self, input_fn, hooks=None, steps=None, max_steps=None, saving_listeners=None):
        self.calls.append((steps, max_steps))
        return super().train(input_fn, hooks, steps, max_steps, saving_listeners)


class Exporter:
    def __init__(self, crash_at=None):
        self.name, self.calls, self.crash_at = "mine", [], crash_at

    def export(
        self, estimator, export_path, checkpoint_path=None, eval_result=None, is_the_final_export=False
    ):
        self.calls.append((eval_result["global_step"], is_the_final_export))
        if eval_result["global_step"] == self.crash_at:
            raise KeyboardInterrupt
        return os.path.join(export_path, str(len(self.calls)))


def numbered(n=10**6):
    """Every batch is another one, so that the state tells which were used."""
    return lambda: (([[float(i % 7)]], [float(i % 3)]) for i in range(n))


DATA = numbered()


@pytest.fixture
def make(tmp_path):
    host = PluginSandbox(builtins=True, disable=["plugins/default_hooks"]).host

    def experiment(directory="model", **arguments):
        clock = VirtualClock()
        config = RunConfig(model_dir=str(tmp_path / directory), keep_checkpoint_max=0)
        arguments = {"train_input_fn": DATA, "eval_input_fn": DATA} | arguments
        estimator = Counting(config=config, clock=clock, learning_rate=0.01)
        return Experiment(estimator, plugins=host, clock=clock, **arguments)

    return experiment


def evaluated(experiment):
    return [e.step for e in experiment.history.evaluations]


def state(experiment):
    return json.loads(Path(experiment.estimator.latest_checkpoint()).read_text())


@pytest.mark.parametrize(
    ("train_steps", "per_iteration", "calls"),
    [
        (10, 4, [4, 4, 2]),
        (10, 5, [5, 5]),
        (10, 100, [10]),
        (7, None, [1] * 7),
        (25, None, [2] * 12 + [1]),
        (1, None, [1]),
    ],
)
def test_it_never_trains_beyond_train_steps_nor_makes_an_iteration_of_no_step(
    make, train_steps, per_iteration, calls
):
    experiment = make(train_steps=train_steps, train_steps_per_iteration=per_iteration)
    result, _ = experiment.continuous_train_and_evaluate()
    assert experiment.estimator.calls == [(n, None) for n in calls]
    assert result["global_step"] == train_steps
    assert evaluated(experiment)[-1] == train_steps
    assert len(evaluated(experiment)) == len(calls)


def test_without_train_steps_an_iteration_is_1000_steps_unless_given(make):
    experiment = make(train_steps_per_iteration=None)
    experiment.continuous_train_and_evaluate(lambda result: result is None)
    assert experiment.estimator.calls == [(1000, None)]


def test_where_training_is_complete_no_iteration_is_made(make):
    make(train_steps=6).train()
    experiment = make(train_steps=6)
    assert experiment.continuous_train_and_evaluate() == (None, [])
    assert (experiment.estimator.calls, evaluated(experiment)) == ([], [])


def test_after_an_odd_step_the_rest_is_trained(make):
    make(train_steps=7).train()
    experiment = make(train_steps=12, train_steps_per_iteration=4)
    experiment.continuous_train_and_evaluate()
    assert experiment.estimator.calls == [(4, None), (1, None)]
    assert evaluated(experiment) == [11, 12]


def test_the_result_is_the_last_one_and_every_iteration_is_exported_the_last_as_final(make):
    exporter = Exporter()
    experiment = make(train_steps=9, train_steps_per_iteration=4, export_strategies=exporter)
    result, exports = experiment.continuous_train_and_evaluate()
    assert exporter.calls == [(4, False), (8, False), (9, True)]
    assert result == experiment.history.evaluations[-1].metrics
    assert exports == [os.path.join(experiment.model_dir, "export", "mine", "3")]


def test_where_the_predicate_ends_it_the_last_one_is_exported_again_as_final(make):
    exporter = Exporter()
    experiment = make(train_steps=90, train_steps_per_iteration=4, export_strategies=exporter)
    result, exports = experiment.continuous_train_and_evaluate(lambda r: not r or r["global_step"] < 8)
    assert exporter.calls == [(4, False), (8, False), (8, True)]
    assert (result["global_step"], len(exports)) == (8, 1)
    assert exports[0].endswith("3")


def test_the_predicate_is_asked_before_each_iteration_with_path_and_history(make):
    asked = []

    def predicate(eval_result, checkpoint_path, history):
        asked.append((eval_result, checkpoint_path, [e.step for e in history.evaluations]))
        return True

    experiment = make(train_steps=6, train_steps_per_iteration=2)
    experiment.continuous_train_and_evaluate(predicate)
    results = [e.metrics for e in experiment.history.evaluations]
    paths = [c.path for c in experiment.history.saves]
    assert asked == [
        (None, None, []),
        (results[0], paths[0], [2]),
        (results[1], paths[1], [2, 4]),
    ]


def test_a_predicate_that_is_false_at_once_lets_nothing_happen_not_even_a_directory(make, tmp_path):
    exporter = Exporter()
    experiment = make(train_steps=6, export_strategies=exporter)
    assert experiment.continuous_train_and_evaluate(lambda result: False) == (None, [])
    assert (experiment.estimator.calls, exporter.calls) == ([], [])
    assert not list(Path(experiment.model_dir).glob("ckpt-*"))


def test_the_data_go_on_where_the_last_iteration_left_them(make):
    parts = make(train_steps=23, train_steps_per_iteration=4)
    parts.continuous_train_and_evaluate()
    whole = make("whole", train_steps=23)
    whole.train()
    assert state(parts) == state(whole)


def test_a_restart_goes_on_with_the_data_where_the_last_run_left_them(make):
    make(train_steps=23, train_steps_per_iteration=4).continuous_train_and_evaluate(
        lambda r: not r or r["global_step"] < 8
    )
    make(train_steps=23, train_steps_per_iteration=5).continuous_train_and_evaluate()
    whole = make("whole", train_steps=23)
    whole.train()
    assert state(make()) == state(whole)
    assert evaluated(make()) == [4, 8, 13, 18, 23]


def test_input_that_ends_begins_anew(make):
    experiment = make(train_input_fn=numbered(5), train_steps=14, train_steps_per_iteration=4)
    experiment.continuous_train_and_evaluate()
    assert evaluated(experiment) == [4, 5, 9, 10, 14]


def test_input_that_gives_nothing_ends_it_with_that_reason(make, caplog):
    caplog.set_level("INFO")
    make(train_steps=3).train()
    exporter = Exporter()
    experiment = make(
        train_input_fn=list, train_steps=20, train_steps_per_iteration=4, export_strategies=exporter
    )
    assert experiment.continuous_train_and_evaluate() == (None, [])
    assert "an iteration made no step (input ended); the schedule ends" in caplog.text
    assert exporter.calls == []


def test_input_that_gives_nothing_any_more_ends_it_with_a_final_export(make):
    left = [4, 2, 0]
    exporter = Exporter()

    def less_and_less():
        return [([[1.0]], [1.0])] * left.pop(0)

    experiment = make(
        train_input_fn=less_and_less, train_steps=20, train_steps_per_iteration=5, export_strategies=exporter
    )
    result, _ = experiment.continuous_train_and_evaluate()
    assert (evaluated(experiment), result["global_step"]) == ([4, 6], 6)
    assert exporter.calls == [(4, False), (6, False), (6, True)]


def test_a_signal_ends_it_and_the_next_call_goes_on(make):
    exporter = Exporter()
    experiment = make(train_steps=12, train_steps_per_iteration=4, export_strategies=exporter)

    def interrupt(result):
        if result and result["global_step"] == 4:
            experiment.interrupt(15)
        return True

    with pytest.raises(StoppedBySignal):
        experiment.continuous_train_and_evaluate(interrupt)
    assert experiment.history.training_ends[-1].over is False
    experiment.continuous_train_and_evaluate()
    assert evaluated(experiment) == [4, 8, 12]
    assert exporter.calls == [(4, False), (8, False), (12, True)]


def test_what_a_crash_kept_from_the_exporters_is_exported_first_at_the_next_start(make):
    with pytest.raises(KeyboardInterrupt):
        make(
            train_steps=12, train_steps_per_iteration=4, export_strategies=Exporter(crash_at=4)
        ).continuous_train_and_evaluate()
    exporter = Exporter()
    make(
        train_steps=12, train_steps_per_iteration=4, export_strategies=exporter
    ).continuous_train_and_evaluate()
    assert exporter.calls == [(4, False), (8, False), (12, True)]


@pytest.mark.parametrize("crash", ["evaluation", "export"])
def test_a_crash_after_the_last_step_is_made_good_at_the_next_start_and_once(make, crash):
    asked = []

    def data():
        asked.append(1)
        if crash == "evaluation" and len(asked) == 2:
            raise KeyboardInterrupt
        return DATA()

    parts = {"train_steps": 6, "train_steps_per_iteration": 4}
    with pytest.raises(KeyboardInterrupt):
        make(
            **parts, eval_input_fn=data, export_strategies=Exporter(6 if crash == "export" else None)
        ).continuous_train_and_evaluate()
    exporter = Exporter()
    experiment = make(**parts, export_strategies=exporter)
    result, exports = experiment.continuous_train_and_evaluate()
    assert (result["global_step"], exports) == (6, [os.path.join(experiment.model_dir, "export/mine/1")])
    assert (exporter.calls, experiment.estimator.calls, evaluated(experiment)) == ([(6, True)], [], [4, 6])
    assert experiment.history.training_ends[-1].over
    assert make(**parts).continuous_train_and_evaluate() == (None, [])


def test_one_training_is_recorded_over_all_iterations(make):
    experiment = make(train_steps=9, train_steps_per_iteration=4)
    experiment.continuous_train_and_evaluate()
    (end,) = experiment.history.training_ends
    assert (end.step, end.steps, end.reason, end.over) == (9, 9, "max_steps", True)
    assert end.checkpoint == experiment.latest_checkpoint().id


def test_a_predicate_that_cannot_be_called_is_refused_before_anything(make, tmp_path):
    with pytest.raises(InvalidArgument, match="must be a callable, or None"):
        make().continuous_train_and_evaluate("no")
    assert not list(tmp_path.rglob("ckpt-*"))
