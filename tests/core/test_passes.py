"""What is kept around a whole schedule: the order of its record, observers, failures, signals, nesting."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from expcore.cluster import RunConfig
from expcore.errors import ExportFailed, NoNews, NotTrained, PluginError, StoppedBySignal
from expcore.events import LogReader
from expcore.experiment import Experiment
from expcore.hookspecs import hookimpl
from expcore.testing import PluginSandbox, VirtualClock
from expcore.testing.numpy_estimator import NumpyEstimator


class Exporter:
    def __init__(self, error=None):
        self.name, self.error = "mine", error

    def export(self, estimator, export_path, is_the_final_export=False):
        if self.error:
            raise self.error
        return os.path.join(export_path, "1") if is_the_final_export else None


class Observer:
    """Writes down every moment; raises at those it is told to."""

    def __init__(self, *failing):
        self.failing, self.moments, self.errors = failing, [], []

    def _moment(self, name, *more):
        self.moments.append((name, *more))
        if name in self.failing:
            raise KeyError(name)

    @hookimpl
    def expcore_before_schedule(self, schedule, options):
        self._moment("before_schedule", schedule, dict(options))

    @hookimpl
    def expcore_after_schedule(self, schedule, result):
        self._moment("after_schedule", schedule, type(result).__name__)

    @hookimpl
    def expcore_before_train(self):
        self._moment("before_train")

    @hookimpl
    def expcore_after_train(self, experiment, end):
        recorded = experiment.history.training_ends[-1]
        self._moment("after_train", end.step, end.reason, end == recorded)

    @hookimpl
    def expcore_checkpoint_saved(self, experiment, checkpoint):
        self._moment("saved", checkpoint.step, experiment.history.saves[-1] == checkpoint)

    @hookimpl
    def expcore_before_evaluate(self, checkpoint):
        self._moment("before_evaluate", checkpoint and checkpoint.step)

    @hookimpl
    def expcore_after_evaluate(self, evaluation):
        self._moment("after_evaluate", evaluation.step)

    @hookimpl
    def expcore_before_export(self, exporter):
        self._moment("before_export", exporter.name)

    @hookimpl
    def expcore_after_export(self, export):
        self._moment("after_export", export.exporter, export.final)

    @hookimpl
    def expcore_failed(self, error):
        self.errors.append(error)
        self._moment("failed", type(error).__name__)

    @property
    def names(self):
        return [moment[0] for moment in self.moments]


@pytest.fixture
def box():
    return PluginSandbox(builtins=True, disable=["plugins/default_hooks"])


@pytest.fixture
def make(tmp_path, box):
    def experiment(**arguments):
        clock = VirtualClock()

        def batches():
            return [([[1.0]], [1.0])] * 50

        config = RunConfig(model_dir=str(tmp_path), save_checkpoints_steps=2)
        arguments = {"train_steps": 4, "export_strategies": Exporter()} | arguments
        return Experiment(
            NumpyEstimator(config=config, clock=clock),
            batches,
            batches,
            plugins=box.host,
            clock=clock,
            **arguments,
        )

    return experiment


def log(directory):
    return LogReader(str(directory)).read()


# --- the record ------------------------------------------------------------------------------------------


def test_the_log_of_a_whole_run_in_order(make, tmp_path):
    make().train_and_evaluate()
    found = log(tmp_path)
    assert [(e.kind, e.data.get("step")) for e in found] == [
        ("schedule_started", None),
        ("training_started", 0),
        ("saved", 2),
        ("evaluated", 2),
        ("skipped", None),
        ("saved", 4),
        ("evaluated", 4),
        ("exported", 4),
        ("training_ended", 4),
        ("schedule_ended", None),
    ]
    assert [e.seq for e in found] == list(range(10))
    assert len({e.file for e in found}) == 1
    assert found[0].file.startswith("events-local-0-")
    first, last = found[0].data, found[-1].data
    assert (first["schedule"], first["provider"].split()[0], first["options"]) == (
        "train_and_evaluate",
        "expcore",
        {},
    )
    assert (last["schedule"], last["timed_out"]) == ("train_and_evaluate", False)
    assert "signal" not in last


def test_options_are_recorded_plain_values_as_they_are_and_objects_by_their_names(make, box, tmp_path):
    box.add("schedules", "odd", lambda experiment, **options: None)
    make().run("odd", number=1, text="t", nothing=None, function=os.path.join, thing=Exporter())
    options = log(tmp_path)[0].data["options"]
    assert {k: v for k, v in options.items() if k != "thing"} == {
        "number": 1,
        "text": "t",
        "nothing": None,
        "function": "join",
    }
    assert options["thing"].endswith("Exporter")


def test_a_pass_without_a_schedule_is_recorded_without_one(make, tmp_path):
    experiment = make()
    experiment.train_pass()
    experiment.evaluate_pass()
    experiment.export_pass({})
    assert [e.kind for e in log(tmp_path)] == [
        "training_started",
        "saved",
        "saved",
        "training_ended",
        "evaluated",
        "skipped",
    ]


def test_of_schedules_within_another_only_the_outermost_is_recorded(make, box, tmp_path):
    seen = Observer()
    box.observe(seen)

    def outer(experiment):
        experiment.train()
        return experiment.run("evaluate", delay_secs=0)

    box.add("schedules", "outer", outer)
    assert make().run("outer")["global_step"] == 4
    schedules = [e.data["schedule"] for e in log(tmp_path) if e.kind.startswith("schedule_")]
    assert schedules == ["outer", "outer"]
    assert [m for m in seen.moments if "schedule" in m[0]] == [
        ("before_schedule", "outer", {}),
        ("after_schedule", "outer", "dict"),
    ]


def test_a_schedule_that_wants_no_record_leaves_none_even_where_it_fails(make, box, tmp_path):
    def quiet(experiment, fail=False):
        if fail:
            raise KeyError
        return 1

    quiet.unrecorded = True
    box.add("schedules", "quiet", quiet)
    assert make().run("quiet") == 1
    with pytest.raises(KeyError):
        make().run("quiet", fail=True)
    assert list(tmp_path.iterdir()) == []


# --- no news ---------------------------------------------------------------------------------------------


def test_no_news_ends_a_schedule_with_its_result_and_timed_out(make, box, tmp_path):
    def waiting(experiment, secs):
        if secs:
            raise NoNews("nothing came", result={"loss": secs})
        return "news"

    box.add("schedules", "waiting", waiting)
    experiment = make()
    assert experiment.timed_out is False
    assert experiment.run("waiting", secs=3) == {"loss": 3}
    assert experiment.timed_out is True
    assert [e.data.get("timed_out") for e in log(tmp_path)] == [None, True]
    assert experiment.run("waiting", secs=0) == "news"
    assert experiment.timed_out is False


def test_a_schedule_within_another_times_out_for_itself(make, box):
    def waiting(experiment):
        raise NoNews("nothing came", result="the last result")

    box.add("schedules", "waiting", waiting)
    box.add("schedules", "outer", lambda experiment: [experiment.run("waiting"), "and went on"])
    experiment = make()
    assert experiment.run("outer") == ["the last result", "and went on"]
    assert experiment.timed_out


# --- observers -------------------------------------------------------------------------------------------


def test_observers_are_told_of_every_moment_in_order(make, box):
    seen = Observer()
    box.observe(seen)
    make().train_and_evaluate()
    assert seen.moments == [
        ("before_schedule", "train_and_evaluate", {}),
        ("before_train",),
        ("saved", 2, True),
        ("before_evaluate", 2),
        ("after_evaluate", 2),
        ("before_export", "mine"),
        ("saved", 4, True),
        ("before_evaluate", 4),
        ("after_evaluate", 4),
        ("before_export", "mine"),
        ("after_export", "mine", True),
        ("after_schedule", "train_and_evaluate", "tuple"),
        ("after_train", 4, "max_steps", True),
    ]


def test_after_train_is_called_once_a_run_however_often_it_trains_and_only_if_it_does(make, box):
    seen = Observer()
    box.observe(seen)
    make(train_steps=6, train_steps_per_iteration=2).continuous_train_and_evaluate()
    assert seen.names.count("before_train") == 3
    assert [m for m in seen.moments if m[0] == "after_train"] == [("after_train", 6, "max_steps", True)]
    seen.moments.clear()
    make().evaluate()
    assert "after_train" not in seen.names


def test_what_observers_raise_is_collected_and_raised_together_at_the_end(make, box, tmp_path):
    seen = Observer("after_evaluate", "after_export", "after_train", "after_schedule")
    box.observe(seen, "grumbler")
    experiment = make()
    with pytest.raises(PluginError, match=r"after_evaluate.*after_export.*after_train") as caught:
        experiment.train_and_evaluate()
    assert isinstance(caught.value.__cause__, ExceptionGroup)
    assert len(caught.value.__cause__.exceptions) == 5
    assert all(any("grumbler" in n for n in e.__notes__) for e in caught.value.__cause__.exceptions)
    assert seen.errors == [caught.value], "the run failed, so plugins are told"
    assert [e.kind for e in log(tmp_path)][-3:] == ["training_ended", "schedule_ended", "failed"]
    assert experiment.history.training_ends[0].over


def test_one_that_raises_keeps_no_other_from_being_told(make, box):
    first, second = Observer("after_evaluate"), Observer()
    box.observe(second)
    box.observe(first)
    experiment = make(export_strategies=None)
    with pytest.raises(PluginError) as caught:
        experiment.run("train_and_evaluate")
    assert first.names.count("after_evaluate") == second.names.count("after_evaluate") == 2
    assert [type(e) for e in caught.value.__cause__.exceptions] == [KeyError, KeyError]


@pytest.mark.parametrize("moment", ["before_schedule", "before_train", "saved", "before_evaluate"])
def test_a_plugin_that_objects_stops_the_run_with_its_name(make, box, moment):
    box.observe(Observer(moment), "objector")
    experiment = make()
    with pytest.raises(KeyError) as caught:
        experiment.train_and_evaluate()
    assert any("objector" in note for note in caught.value.__notes__)
    assert experiment.history.evaluations == ()


def test_a_broken_contract_is_told_before_anything_is_made(make, box, tmp_path):
    class Misspelt:
        @hookimpl
        def expcore_after_trian(self):
            pass

    box.add("plugins", "misspelt", Misspelt)
    experiment = make()
    for method in (experiment.train, experiment.train_pass, experiment.evaluate_pass):
        with pytest.raises(PluginError, match="expcore_after_train"):
            method()
    assert list(tmp_path.iterdir()) == []


# --- failures --------------------------------------------------------------------------------------------


def test_a_failure_names_schedule_and_provider_is_recorded_and_told(make, box, tmp_path):
    seen = Observer()
    box.observe(seen)

    def broken(experiment):
        experiment.train_pass(steps=2)
        raise KeyError("lost")

    box.add("schedules", "broken", broken, dist="stranger", version="1.5")
    with pytest.raises(KeyError) as caught:
        make().run("broken")
    assert "in schedule 'broken' of stranger 1.5" in caught.value.__notes__
    assert seen.errors == [caught.value]
    assert "after_train" not in seen.names
    assert "after_schedule" not in seen.names
    assert [e.kind for e in log(tmp_path)] == [
        "schedule_started",
        "training_started",
        "saved",
        "training_ended",
        "failed",
    ]
    assert dict(log(tmp_path)[-1].data) == {
        "schedule": "broken",
        "provider": "stranger 1.5",
        "error": "KeyError: 'lost'",
    }
    (end,) = make().history.training_ends
    assert (end.step, end.over, end.reason) == (2, False, "KeyError: 'lost'")


def test_an_observer_that_fails_when_told_of_a_failure_is_noted_on_it(make, box):
    box.observe(Observer("failed"), "clumsy")
    with pytest.raises(NotTrained) as caught:
        make().evaluate()
    notes = "\n".join(caught.value.__notes__)
    assert "an observer failed as well: KeyError: 'failed'" in notes
    assert "in schedule 'evaluate' of expcore" in notes


def test_a_failed_pass_without_a_schedule_is_recorded_and_told(make, box, tmp_path):
    seen = Observer()
    box.observe(seen)
    with pytest.raises(NotTrained) as caught:
        make().evaluate_pass()
    assert seen.errors == [caught.value]
    assert [(e.kind, e.data["schedule"]) for e in log(tmp_path)] == [("failed", "")]


def test_failed_exports_are_told_to_plugins_as_the_failure_of_the_run(make, box):
    seen = Observer()
    box.observe(seen)
    with pytest.raises(ExportFailed) as caught:
        make(export_strategies=Exporter(error=ValueError("no space"))).train_and_evaluate()
    assert seen.errors == [caught.value]
    assert seen.names[-2:] == ["after_train", "failed"]


def test_after_a_failure_the_experiment_can_be_used_again(make):
    experiment = make()
    with pytest.raises(NotTrained):
        experiment.evaluate()
    experiment.train()
    assert experiment.evaluate()["global_step"] == 4


# --- signals ---------------------------------------------------------------------------------------------


def test_a_signal_is_no_failure_and_the_end_of_the_training_is_told(make, box, tmp_path):
    seen = Observer()
    box.observe(seen)

    def stopping(experiment):
        experiment.train_pass(steps=2)
        experiment.interrupt(15)
        experiment.wait(5)

    box.add("schedules", "stopping", stopping)
    experiment = make()
    with pytest.raises(StoppedBySignal):
        experiment.run("stopping")
    assert (seen.errors, seen.moments[-1]) == ([], ("after_train", 2, "signal", True))
    last = log(tmp_path)[-1]
    assert (last.kind, last.data["schedule"], last.data["signal"]) == ("schedule_ended", "stopping", 15)
    assert experiment.signalled is None


def test_waiting_is_by_the_experiments_clock_and_ends_with_a_signal(make):
    experiment = make()
    experiment.wait(0)
    experiment.wait(-1)
    assert experiment.clock.slept == []
    experiment.wait(2.5, "for a test")
    assert (experiment.clock.time(), max(experiment.clock.slept)) == (2.5, 1)

    def sleep(secs, wait=experiment.clock.sleep):
        wait(secs)
        if experiment.clock.time() >= 10:
            experiment.interrupt(15)

    experiment.clock.sleep = sleep
    with pytest.raises(StoppedBySignal):
        experiment.wait(1000)
    assert experiment.clock.time() < 12


def test_a_signal_after_the_last_thing_was_done_does_not_undo_it_and_stops_the_next_run(make):
    class Late(Exporter):
        def export(self, estimator, export_path, is_the_final_export=False):
            if is_the_final_export:
                experiment.interrupt(15)

    experiment = make(export_strategies=Late())
    result, _ = experiment.train_and_evaluate()
    assert result["global_step"] == 4
    assert experiment.history.training_ends[-1].over
    with pytest.raises(StoppedBySignal):
        experiment.evaluate()
    assert experiment.evaluate()["global_step"] == 4


def test_what_failed_before_a_signal_is_noted_on_it(make, box):
    def schedule(experiment):
        experiment.export_pass({})
        experiment.interrupt(15)
        experiment.wait(1)

    box.add("schedules", "both", schedule)
    experiment = make(export_strategies=Exporter(error=KeyError("on fire")))
    with pytest.raises(StoppedBySignal) as caught:
        experiment.run("both")
    assert any("KeyError: 'on fire'" in note for note in caught.value.__notes__)


def test_the_log_and_what_it_names_may_be_moved(make, tmp_path):
    make().train_and_evaluate()
    moved = tmp_path.with_name("moved")
    tmp_path.rename(moved)
    config = RunConfig(model_dir=str(moved))
    other = Experiment(NumpyEstimator(config=config), None, None, plugins=PluginSandbox().host)
    latest = other.latest_checkpoint()
    assert other.history.evaluated(latest).step == 4
    assert Path(other.history.exports[0].path) == moved / "export" / "mine" / "1"
    moved.rename(tmp_path)
