"""The schedule train_and_evaluate: when it evaluates, what it exports, and how it goes on after a stop."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest

from expcore.cluster import RunConfig
from expcore.errors import InvalidArgument, NotTrained, StoppedBySignal
from expcore.events import LogReader
from expcore.experiment import Experiment
from expcore.testing import PluginSandbox, VirtualClock
from expcore.testing.numpy_estimator import NumpyEstimator


class At:
    """A hook that does something at a step."""

    def __init__(self, step, deed):
        self.step, self.deed = step, deed

    def next_step(self, step):
        return self.step if step < self.step else None

    def after_steps(self, run):
        if run.step == self.step:
            self.deed(run)


class Tick:
    """A hook that makes every step take its time."""

    def __init__(self, secs):
        self.secs = secs

    def next_step(self, step):
        return step + 1

    def after_steps(self, run):
        run.clock.sleep(self.secs)


class Exporter:
    def __init__(self, declines=False):
        self.name, self.declines, self.calls = "mine", declines, []

    def export(
        self, estimator, export_path, checkpoint_path=None, eval_result=None, is_the_final_export=False
    ):
        self.calls.append((eval_result["global_step"], is_the_final_export))
        return None if self.declines else os.path.join(export_path, str(len(self.calls)))

    @property
    def final(self):
        return [step for step, final in self.calls if final]


class Text:
    def write(self, estimator, directory, checkpoint_path=None, eval_result=None):
        Path(directory, "model.txt").write_text(str(checkpoint_path))


class Deaf:
    """Takes no listeners and no hooks of ours; its checkpoints are called as TensorFlow's."""

    def __init__(self, config, clock):
        self.inner, self.calls = NumpyEstimator(config=config, clock=clock), []
        self.model_dir, self.config = self.inner.model_dir, config

    def train(self, input_fn, hooks=None, steps=None, max_steps=None):
        self.calls.append((steps, max_steps))
        self.inner.train(input_fn, hooks, steps, max_steps)

    def evaluate(self, input_fn, steps=None, hooks=None, checkpoint_path=None, name=None):
        return self.inner.evaluate(input_fn, steps, hooks, f"{checkpoint_path}.json", name)

    def latest_checkpoint(self):
        latest = self.inner.latest_checkpoint()
        return latest and latest.removesuffix(".json")


def burst(run):
    raise KeyError("burst")


@pytest.fixture
def box():
    return PluginSandbox(builtins=True, disable=["plugins/default_hooks"])


@pytest.fixture
def make(tmp_path, box):
    def experiment(kind=NumpyEstimator, config=None, batches=1000, **arguments):
        def data():
            return [([[1.0]], [1.0])] * batches

        clock = arguments.setdefault("clock", VirtualClock())
        config = RunConfig(model_dir=str(tmp_path), keep_checkpoint_max=0, **(config or {}))
        estimator = kind(config=config, clock=clock)
        arguments = {"train_input_fn": data, "eval_input_fn": data} | arguments
        return Experiment(estimator, plugins=box.host, **arguments)

    return experiment


def evaluated(experiment):
    return [e.step for e in experiment.history.evaluations]


def saved(experiment):
    return [c.step for c in experiment.history.saves]


def evaluations(experiment):
    """How many were made, the same checkpoint's counted again."""
    return len([e for e in LogReader(experiment.model_dir).read() if e.kind == "evaluated"])


# --- the rhythm ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "config", "saves", "evals"),
    [
        pytest.param(4, {}, [4, 8, 10], [4, 8, 10], id="no rhythm given: it saves every n steps"),
        pytest.param(20, {}, [10], [10], id="n beyond the end"),
        pytest.param(10, {}, [10], [10], id="n is the end"),
        pytest.param(1, {}, [10], [10], id="1: at every checkpoint, of which there is one in 600 s"),
        pytest.param(0, {}, [10], [10], id="0: only at the end"),
        pytest.param(None, {}, [10], [10], id="None: only at the end"),
        pytest.param(1, {"save_checkpoints_steps": 3}, [3, 6, 9, 10], [3, 6, 9, 10], id="1 and a rhythm"),
        pytest.param(4, {"save_checkpoints_steps": 3}, [3, 6, 9, 10], [6, 10], id="n and a rhythm"),
        pytest.param(6, {"save_checkpoints_steps": 3}, [3, 6, 9, 10], [6, 10], id="n is a multiple of it"),
        pytest.param(2, {"save_checkpoints_steps": 5}, [5, 10], [5, 10], id="n is less than the rhythm"),
        pytest.param(0, {"save_checkpoints_steps": 3}, [3, 6, 9, 10], [10], id="0 and a rhythm"),
        pytest.param(None, {"save_checkpoints_steps": 3}, [3, 6, 9, 10], [10], id="None and a rhythm"),
        pytest.param(
            4, {"save_checkpoints_secs": None}, [10], [10], id="checkpoints only at the end, as asked"
        ),
    ],
)
def test_it_evaluates_at_saves_at_least_n_steps_apart_and_at_the_end(make, n, config, saves, evals):
    experiment = make(config=config, train_steps=10, eval_every_n_steps=n)
    result, exports = experiment.train_and_evaluate()
    assert (saved(experiment), evaluated(experiment)) == (saves, evals)
    assert evaluations(experiment) == len(evals)
    assert (result["global_step"], exports) == (10, [])


def test_saves_by_seconds_are_evaluated_where_n_steps_have_passed(make):
    experiment = make(
        config={"save_checkpoints_secs": 30}, train_hooks=[Tick(10)], train_steps=12, eval_every_n_steps=5
    )
    experiment.train_and_evaluate()
    assert saved(experiment) == [3, 6, 9, 12]
    assert evaluated(experiment) == [6, 12]


@pytest.mark.parametrize(
    ("n", "config", "line"),
    [
        (1, {}, "saved every 600 seconds; the evaluation is at each of them, and at the end"),
        (
            5,
            {"save_checkpoints_steps": 3},
            "saved every 3 steps; the evaluation is at those at least 5 steps",
        ),
        (5, {"save_checkpoints_secs": None}, "saved only at the end; the evaluation is at those"),
        (5, {"save_checkpoints_secs": 20}, "saved every 20 seconds"),
    ],
)
def test_the_rhythm_that_results_is_said_in_one_line(make, caplog, n, config, line):
    caplog.set_level("INFO")
    make(config=config, train_steps=4, eval_every_n_steps=n).train_and_evaluate()
    (said,) = [r.message for r in caplog.records if "checkpoints are saved" in r.message]
    assert line in said


@pytest.mark.parametrize("n", [0, None, 4])
def test_where_the_rhythm_is_its_own_nothing_is_said_of_it(make, caplog, n):
    caplog.set_level("INFO")
    make(train_steps=4, eval_every_n_steps=n).train_and_evaluate()
    assert "checkpoints are saved" not in caplog.text


# --- the end ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [{}, {"save_checkpoints_steps": 5}, {"save_checkpoints_steps": 3}])
def test_the_last_checkpoint_is_evaluated_once_and_exported_once_as_final(make, config):
    exporter = Exporter()
    experiment = make(config=config, train_steps=10, export_strategies=exporter)
    result, exports = experiment.train_and_evaluate()
    assert evaluations(experiment) == len(evaluated(experiment))
    assert exporter.final == [10]
    assert [step for step, _ in exporter.calls] == evaluated(experiment)
    assert exports == [str(Path(experiment.model_dir, "export", "mine", str(len(exporter.calls))))]
    assert result == experiment.history.evaluations[-1].metrics


def test_an_exporter_that_declines_gives_none(make):
    assert make(train_steps=2, export_strategies=Exporter(declines=True)).train_and_evaluate()[1] == [None]


@pytest.mark.parametrize(("batches", "config"), [(7, {}), (6, {"save_checkpoints_steps": 3})])
def test_where_the_input_ends_the_last_checkpoint_is_the_final_one_and_evaluated_once(make, batches, config):
    """With the second, input ends on a save of the rhythm, which was evaluated before the end was known."""
    exporter = Exporter()
    experiment = make(config=config, batches=batches, train_steps=100, export_strategies=exporter)
    result, _ = experiment.train_and_evaluate()
    assert (result["global_step"], evaluated(experiment)[-1]) == (batches, batches)
    assert evaluations(experiment) == len(evaluated(experiment))
    assert exporter.final == [batches]
    assert experiment.history.training_ends[-1].reason == "input ended"


def test_without_train_steps_it_goes_on_until_a_hook_stops_it(make):
    exporter = Exporter()
    experiment = make(
        train_hooks=[At(6, lambda run: run.request_stop("enough"))],
        eval_every_n_steps=4,
        export_strategies=exporter,
    )
    experiment.train_and_evaluate()
    assert (evaluated(experiment), exporter.calls) == ([4, 6], [(4, False), (6, True)])
    assert experiment.history.training_ends[-1].reason == "enough"


def test_without_any_step_and_checkpoint_it_is_left_to_the_estimator(make):
    with pytest.raises(NotTrained):
        make(batches=0, train_steps=5).train_and_evaluate()


def test_after_completion_the_recorded_result_goes_through_the_exporters_as_final(make, caplog):
    first = make(train_steps=6).train_and_evaluate()[0]
    caplog.set_level("INFO")
    for _ in range(2):
        exporter = Exporter()
        again = make(train_steps=6, export_strategies=exporter)
        assert again.train_and_evaluate()[0] == first
        assert (evaluations(again), exporter.calls) == (1, [(6, True)])
    assert "training is complete: step 6 of 6 is reached, no step is made" in caplog.text
    assert "step 6 is evaluated already; its recorded result is exported as the final one" in caplog.text


def test_what_was_trained_without_evaluation_is_evaluated_and_said_to_be_complete(make, caplog):
    make(train_steps=6).train()
    caplog.set_level("INFO")
    exporter = Exporter()
    again = make(train_steps=6, export_strategies=exporter)
    assert again.train_and_evaluate()[0]["global_step"] == 6
    assert (evaluated(again), exporter.calls) == ([6], [(6, True)])
    assert "training is complete" in caplog.text


def test_an_evaluation_of_another_name_does_not_count(make):
    experiment = make(train_steps=6)
    experiment.train()
    experiment.evaluate(name="other")
    experiment.train_and_evaluate()
    assert [e.data["name"] for e in LogReader(experiment.model_dir).read() if e.kind == "evaluated"] == [
        "other",
        None,
    ]


def test_it_can_be_trained_further_with_more_steps(make):
    exporter = Exporter()
    make(train_steps=6, eval_every_n_steps=4, export_strategies=exporter).train_and_evaluate()
    again = make(train_steps=15, eval_every_n_steps=4, export_strategies=exporter)
    again.train_and_evaluate()
    assert evaluated(again) == [4, 6, 10, 14, 15]
    assert exporter.calls == [(4, False), (6, True), (10, False), (14, False), (15, True)]


# --- going on --------------------------------------------------------------------------------------------


def test_after_a_stop_at_an_odd_step_the_log_says_when_the_next_evaluation_is_due(make):
    config = {"save_checkpoints_steps": 1}
    first = make(config=config, train_steps=30, eval_every_n_steps=10)
    first.extend_train_hooks([At(13, burst)])
    with pytest.raises(KeyError):
        first.train_and_evaluate()
    assert (evaluated(first), saved(first)[-1]) == ([10], 12)
    again = make(config=config, train_steps=30, eval_every_n_steps=10)
    again.train_and_evaluate()
    assert evaluated(again) == [10, 20, 30]


def test_after_a_stop_between_two_evaluations_none_comes_earlier_than_n_steps(make):
    experiment = make(train_steps=30, eval_every_n_steps=10)
    experiment.extend_train_hooks([At(13, lambda run: run.request_stop("pause"))])
    experiment.train_and_evaluate()
    again = make(train_steps=30, eval_every_n_steps=10)
    again.train_and_evaluate()
    assert evaluated(again) == [10, 13, 23, 30]


def test_after_a_rollback_a_save_is_evaluated_though_its_step_lies_behind(make):
    make(train_steps=10, eval_every_n_steps=4).train_and_evaluate()
    again = make(train_steps=10, eval_every_n_steps=4)
    for step in (8, 10):
        Path(again.model_dir, f"ckpt-{step}.json").unlink()
    again.train_and_evaluate()
    recorded = again.history.evaluations
    assert [e.step for e in recorded] == [4, 8, 10, 8, 10]
    assert len({e.checkpoint for e in recorded}) == 5


def test_a_signal_between_evaluations_leaves_the_final_export_to_the_next_start(make):
    exporter = Exporter()
    experiment = make(
        train_steps=12,
        eval_every_n_steps=4,
        export_strategies=exporter,
        train_hooks=[Tick(0.5), At(6, lambda run: experiment.interrupt(15))],
    )
    with pytest.raises(StoppedBySignal):
        experiment.train_and_evaluate()
    assert (evaluated(experiment), exporter.calls) == ([4], [(4, False)])
    stopped = experiment.latest_checkpoint().step
    assert 6 < stopped <= 9
    experiment.train_and_evaluate()
    assert exporter.final == [12]
    *steps, _ = evaluated(experiment)
    assert all(later - earlier >= 4 for earlier, later in pairwise(steps))


def test_a_crash_between_evaluation_and_export_is_made_good_at_the_next_start(make, box):
    class Crash(Exporter):
        def export(self, *args, **kwargs):
            raise KeyboardInterrupt

    def policies():
        return box.host.create("exporters", "best", format=Text(), metric="global_step", mode="min")

    with pytest.raises(KeyboardInterrupt):
        make(train_steps=12, eval_every_n_steps=4, export_strategies=Crash()).train_and_evaluate()
    again = make(train_steps=12, eval_every_n_steps=4, export_strategies=policies())
    assert evaluated(again) == [4]
    result, exports = again.train_and_evaluate()
    assert evaluated(again) == [4, 8, 12]
    assert [(e.step, e.final) for e in again.history.exports] == [(4, False)]
    assert (result["global_step"], exports) == (12, [None])


def test_a_crash_between_the_last_evaluation_and_its_export_is_made_good_too(make, box):
    class Crash(Exporter):
        def export(self, *args, **kwargs):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(train_steps=4, export_strategies=Crash()).train_and_evaluate()
    best = box.host.create("exporters", "best", format=Text())
    again = make(train_steps=4, export_strategies=best)
    _, (path,) = again.train_and_evaluate()
    assert Path(path, "model.txt").exists()
    assert [(e.step, e.final) for e in again.history.exports] == [(4, True)]
    assert again.train_and_evaluate()[1] == [path], "found done, not done again"
    assert evaluations(again) == 1


# --- other estimators ------------------------------------------------------------------------------------


def test_an_estimator_without_listeners_alternates_between_training_and_evaluation(make):
    exporter = Exporter()
    experiment = make(Deaf, train_steps=10, eval_every_n_steps=4, export_strategies=exporter)
    experiment.train_and_evaluate()
    assert experiment.estimator.calls == [(None, 4), (None, 8), (None, 10)]
    assert (evaluated(experiment), evaluations(experiment)) == ([4, 8, 10], 3)
    assert exporter.calls == [(4, False), (8, False), (10, True)]


def test_a_mapping_of_sets_is_evaluated_on_every_checkpoint_and_exporters_see_all(make):
    def data():
        return [([[1.0]], [2.0])]

    seen = []

    class Looking(Exporter):
        def export(self, estimator, export_path, eval_result=None):
            seen.append(set(eval_result))

    experiment = make(
        train_steps=4, eval_every_n_steps=2, eval_input_fn={"a": data, "b": data}, export_strategies=Looking()
    )
    experiment.train_and_evaluate()
    assert seen == [{"loss", "a/loss", "b/loss", "global_step"}] * 2


def test_it_has_no_options(make):
    with pytest.raises(TypeError, match="no option 'delay_secs'"):
        make().train_and_evaluate(delay_secs=0)
    with pytest.raises(InvalidArgument):
        make(eval_every_n_steps=-1)
