"""Experiment: what it takes, what it shows of it, and its methods as schedules of their name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from expcore.clock import RealClock
from expcore.cluster import RunConfig
from expcore.errors import (
    CannotWrite,
    ComponentConflict,
    InvalidArgument,
    UnknownComponent,
    UnknownOption,
)
from expcore.experiment import Experiment
from expcore.hookspecs import hookimpl
from expcore.methods import ALIASES
from expcore.testing import PluginSandbox, VirtualClock
from expcore.testing.numpy_estimator import NumpyEstimator
from expcore.types import Estimator

SCHEDULES = [
    "train",
    "evaluate",
    "continuous_eval",
    "continuous_eval_on_train_data",
    "train_and_evaluate",
    "continuous_train_and_evaluate",
    "run_std_server",
    "test",
]


def batches():
    return [([[1.0]], [1.0])] * 8


class Text:
    """A format of one small file."""

    def write(self, estimator, directory, checkpoint_path=None, eval_result=None):
        Path(directory, "model.txt").write_text(str(checkpoint_path))


class Exporter:
    """An exporter that publishes by itself and counts."""

    def __init__(self, name="mine"):
        self.name, self.calls = name, []

    def export(self, estimator, export_path, checkpoint_path=None, eval_result=None, **_):
        self.calls.append(checkpoint_path)
        return os.path.join(export_path, str(len(self.calls)))


@pytest.fixture
def box():
    return PluginSandbox(builtins=True, disable=["plugins/default_hooks"])


@pytest.fixture
def make(tmp_path, box):
    def experiment(**arguments):
        clock = arguments.setdefault("clock", VirtualClock())
        config = RunConfig(model_dir=str(tmp_path / "model"))
        arguments = {
            "estimator": NumpyEstimator(config=config, clock=clock),
            "train_input_fn": batches,
            "eval_input_fn": batches,
            "plugins": box.host,
        } | arguments
        return Experiment(**arguments)

    return experiment


# --- what it is made of ----------------------------------------------------------------------------------


def test_construction_opens_makes_and_runs_nothing(tmp_path, make):
    def never(*_):
        raise AssertionError("it was called")

    class Closed:
        model_dir, config = str(tmp_path / "model"), None
        train = evaluate = latest_checkpoint = never

    experiment = make(
        estimator=Closed(),
        train_input_fn=never,
        eval_input_fn={"one": never},
        train_hooks=[never],
        export_strategies=[Exporter(), Text()],
    )
    assert list(tmp_path.iterdir()) == []
    assert experiment.history.evaluations == ()
    assert experiment.describe()["exporters"]
    assert experiment.run  # and looking at it makes nothing either
    assert list(tmp_path.iterdir()) == []


def test_the_defaults_are_those_of_polyaxon(make):
    experiment = make()
    assert {
        name: getattr(experiment, name)
        for name in (
            "train_steps",
            "eval_steps",
            "train_hooks",
            "eval_hooks",
            "eval_delay_secs",
            "continuous_eval_throttle_secs",
            "eval_every_n_steps",
            "delay_workers_by_global_step",
            "export_strategies",
            "train_steps_per_iteration",
            "saving_listeners",
        )
    } == {
        "train_steps": None,
        "eval_steps": 10,
        "train_hooks": (),
        "eval_hooks": (),
        "eval_delay_secs": 0,
        "continuous_eval_throttle_secs": 60,
        "eval_every_n_steps": 1,
        "delay_workers_by_global_step": False,
        "export_strategies": (),
        "train_steps_per_iteration": 100,
        "saving_listeners": (),
    }


def test_every_argument_is_a_read_only_property_of_its_name(make, box):
    class Listener:
        pass

    exporter, clock = Exporter(), VirtualClock()
    given = {
        "estimator": NumpyEstimator("somewhere"),
        "train_input_fn": batches,
        "eval_input_fn": batches,
        "train_steps": 1,
        "eval_steps": 2,
        "train_hooks": ["t"],
        "eval_hooks": ["e"],
        "eval_delay_secs": 3,
        "continuous_eval_throttle_secs": 4.5,
        "eval_every_n_steps": 5,
        "delay_workers_by_global_step": True,
        "export_strategies": [exporter],
        "train_steps_per_iteration": 6,
        "saving_listeners": [Listener],
        "plugins": box.host,
        "clock": clock,
    }
    experiment = make(**given)
    for name, value in given.items():
        shown = getattr(experiment, name)
        assert shown == (tuple(value) if isinstance(value, list) else value), name
        with pytest.raises(AttributeError):
            setattr(experiment, name, value)
    for name in ("config", "model_dir", "eval_sets", "history"):
        with pytest.raises(AttributeError):
            setattr(experiment, name, None)
    assert (experiment.model_dir, experiment.config) == ("somewhere", experiment.estimator.config)


def test_without_a_host_and_a_clock_it_takes_the_processs_own_and_the_real_one(make, box):
    with PluginSandbox() as mine:
        experiment = make(plugins=None, clock=None)
    assert experiment.plugins is mine.host
    assert isinstance(experiment.clock, RealClock)


def test_lists_and_mappings_are_copied(make):
    hooks, listeners, exporters, sets = [1], [], [Exporter("a")], {"main": batches}
    experiment = make(
        train_hooks=hooks,
        eval_hooks=hooks,
        saving_listeners=listeners,
        export_strategies=exporters,
        eval_input_fn=sets,
    )
    hooks.append(2)
    listeners.append(2)
    exporters.append(Exporter("b"))
    sets["more"] = batches
    assert (experiment.train_hooks, experiment.eval_hooks, experiment.saving_listeners) == ((1,), (1,), ())
    assert [e.name for e in experiment.export_strategies] == ["a"]
    assert (list(experiment.eval_sets), list(experiment.eval_input_fn)) == (["main"], ["main"])


def test_eval_sets_show_a_single_function_as_the_set_without_a_name(make):
    assert make().eval_sets == {"": batches}
    assert list(make(eval_input_fn={"b": batches, "a": batches}).eval_sets) == ["b", "a"]


def test_export_strategies_are_one_or_several_and_a_bare_format_is_exported_as_latest(make):
    one, text = Exporter(), Text()
    assert make(export_strategies=one).export_strategies == (one,)
    assert make(export_strategies=()).export_strategies == ()
    (latest,) = make(export_strategies=text).export_strategies
    assert (latest.name, type(latest).__name__, latest.format) == ("latest", "Latest", text)
    both = make(export_strategies=iter([one, text])).export_strategies
    assert [e.name for e in both] == ["mine", "latest"]


def test_resetting_export_strategies_checks_them_and_returns_the_old_ones(make):
    old, new = Exporter("old"), Exporter("new")
    experiment = make(export_strategies=old)
    with pytest.raises(InvalidArgument):
        experiment.reset_export_strategies([new, "wrong"])
    assert experiment.export_strategies == (old,)
    assert experiment.reset_export_strategies(new) == (old,)
    assert experiment.reset_export_strategies() == (new,)
    assert experiment.export_strategies == ()


def test_extending_hooks_adds_to_every_later_pass_and_not_to_the_callers_list(make):
    class Hook:
        begun = 0

        def begin(self, run):
            Hook.begun += 1

    given, more = [Hook()], [Hook()]
    experiment = make(train_hooks=given, train_steps=4)
    experiment.train()
    experiment.extend_train_hooks(more)
    experiment.extend_eval_hooks(more)
    assert (given, more) == (given[:1], more[:1])
    assert (len(experiment.train_hooks), len(experiment.eval_hooks)) == (2, 1)
    make(train_steps=8, train_hooks=experiment.train_hooks).train()
    assert Hook.begun == 3


def test_describe_tells_numbers_as_they_are_and_objects_by_their_names(make):
    told = make(train_steps=5, train_hooks=[Text()], export_strategies=Exporter()).describe()
    assert told["train_steps"] == 5
    assert told["estimator"] == "expcore.testing.numpy_estimator.NumpyEstimator"
    assert told["train_hooks"][0].endswith("Text")
    assert list(told["exporters"]) == ["mine"]
    assert told["eval_sets"] == [""]


# --- wrong arguments -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (NumpyEstimator, "is a class, not an object"),
        (object(), "lacks train, evaluate, latest_checkpoint, model_dir"),
        (None, "lacks train"),
        ("est", "`estimator` must implement Estimator"),
    ],
)
def test_what_is_no_estimator_is_a_value_error_that_names_what_is_missing(make, wrong, message):
    with pytest.raises(ValueError, match=message) as caught:
        make(estimator=wrong)
    assert isinstance(caught.value, InvalidArgument)


def test_an_estimator_without_one_method_is_refused_naming_it(make):
    class Blind(NumpyEstimator):
        latest_checkpoint = None

    with pytest.raises(InvalidArgument, match=r"it lacks latest_checkpoint;"):
        make(estimator=Blind("d"))


@pytest.mark.parametrize("place", ["gs://bucket/x", "s3://bucket/x"])
def test_a_bucket_is_refused_with_the_advice_to_mount_it(make, place):
    with pytest.raises(InvalidArgument, match="mount the bucket"):
        make(estimator=NumpyEstimator(place))


@pytest.mark.parametrize("name", ["train_steps", "eval_steps", "train_steps_per_iteration"])
@pytest.mark.parametrize("wrong", [0, -1, 1.0, "10", True, [1]])
def test_steps_that_are_neither_none_nor_a_positive_integer_are_refused(make, name, wrong):
    with pytest.raises(InvalidArgument, match=f"`{name}` must be a positive integer or None"):
        make(**{name: wrong})


@pytest.mark.parametrize("wrong", [-1, 0.5, "1", False])
def test_eval_every_n_steps_is_an_integer_from_0(make, wrong):
    with pytest.raises(InvalidArgument, match=r"must be an integer of 0 or more or None"):
        make(eval_every_n_steps=wrong)


@pytest.mark.parametrize("name", ["eval_delay_secs", "continuous_eval_throttle_secs"])
@pytest.mark.parametrize("wrong", [-1, "1", None, float("nan"), True])
def test_seconds_are_numbers_from_0(make, name, wrong):
    with pytest.raises(InvalidArgument, match=f"`{name}` must be seconds, 0 or more"):
        make(**{name: wrong})


def test_none_is_allowed_where_it_means_something(make):
    experiment = make(
        train_steps=None, eval_steps=None, eval_every_n_steps=None, train_steps_per_iteration=None
    )
    assert experiment.eval_steps is None


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("best", "ExportStrategy"),
        (["best"], "ExportStrategy"),
        (5, "lacks a name and export"),
        ([Exporter(), object()], "lacks a name and export"),
        (Exporter, "an object instead of a class"),
        ([Exporter("a/b")], "name 'a/b' is not"),
    ],
)
def test_what_is_no_export_strategy_is_a_value_error(make, wrong, message):
    with pytest.raises(ValueError, match=message):
        make(export_strategies=wrong)


def test_two_exporters_of_one_name_are_refused(make):
    with pytest.raises(InvalidArgument, match="2 exporters are called 'mine'"):
        make(export_strategies=[Exporter(), Exporter("other"), Exporter()])
    with pytest.raises(InvalidArgument, match="2 exporters are called 'latest'"):
        make(export_strategies=[Text(), Text()])


@pytest.mark.parametrize(
    ("wrong", "message"), [({}, "an empty mapping"), ({"a/b": batches}, "'a/b'"), ({"": batches}, "''")]
)
def test_a_mapping_of_sets_has_names_that_can_be_directories(make, wrong, message):
    with pytest.raises(InvalidArgument, match=message):
        make(eval_input_fn=wrong)


def test_listeners_that_the_estimator_would_never_tell_are_refused(make):
    class Deaf(NumpyEstimator):
        def train(self, input_fn, hooks=None, steps=None, max_steps=None):
            raise AssertionError

    with pytest.raises(InvalidArgument, match=r"saving_listeners: train\(\) of .*Deaf takes none"):
        make(estimator=Deaf("d"), saving_listeners=[object()])
    make(estimator=Deaf("d"), saving_listeners=[])


# --- methods and schedules -------------------------------------------------------------------------------


class Options:
    """A schedule that returns what it was given."""

    def __init__(self):
        self.calls = []

    def __call__(self, experiment, delay_secs="default", name="default", **more):
        self.calls.append({"delay_secs": delay_secs, "name": name, **more})
        return "what the schedule returned"


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule_is_a_plugin_and_a_method_and_replacing_it_changes_the_method(make, box, schedule):
    mine = Options()
    box.add("schedules", schedule, mine, dist="stranger")
    experiment = make()
    assert getattr(experiment, schedule)() == "what the schedule returned"
    assert experiment.run(schedule) == "what the schedule returned"
    assert mine.calls == [{"delay_secs": "default", "name": "default"}] * 2


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_method_passes_on_only_what_its_caller_gave(make, box, schedule):
    mine = Options()
    box.add("schedules", schedule, mine)
    getattr(make(), schedule)(delay_secs=None, strange=3)
    assert mine.calls == [{"delay_secs": None, "name": "default", "strange": 3}]


@pytest.mark.parametrize(
    ("schedule", "arguments", "names"),
    [
        ("train", [1], ["delay_secs"]),
        ("evaluate", [1, "n"], ["delay_secs", "name"]),
        (
            "continuous_eval",
            [1, 2, False, len, "n"],
            [
                "delay_secs",
                "throttle_delay_secs",
                "evaluate_checkpoint_only_once",
                "continuous_eval_predicate_fn",
                "name",
            ],
        ),
        (
            "continuous_eval_on_train_data",
            [1, 2, len, "n"],
            ["delay_secs", "throttle_delay_secs", "continuous_eval_predicate_fn", "name"],
        ),
        ("continuous_train_and_evaluate", [len], ["continuous_eval_predicate_fn"]),
    ],
)
def test_methods_take_their_options_by_position_in_the_order_of_2017(make, box, schedule, arguments, names):
    seen = []
    box.add("schedules", schedule, lambda experiment, **options: seen.append(options))
    getattr(make(), schedule)(*arguments)
    assert seen == [dict(zip(names, arguments, strict=True))]


@pytest.mark.parametrize(("alias", "schedule"), sorted(ALIASES.items()))
def test_older_names_are_methods_and_run_by_name(make, box, alias, schedule):
    mine = Options()
    box.add("schedules", schedule, mine)
    experiment = make()
    getattr(experiment, alias)(delay_secs=1)
    experiment.run(alias, delay_secs=1)
    assert mine.calls == [{"delay_secs": 1, "name": "default"}] * 2
    assert set(ALIASES) == {"local_run", "continuous_train_and_eval", "serve"}


def test_an_attribute_that_it_has_not_is_an_attribute_error(make):
    with pytest.raises(AttributeError, match="'Experiment' object has no attribute 'trian'"):
        _ = make().trian


def test_run_runs_any_installed_schedule_and_a_qualified_name_the_one_of_that_distribution(make, box):
    box.add("schedules", "loop_forever", lambda experiment, times: times * 2, dist="stranger")
    box.add("schedules", "evaluate", Options(), dist="stranger")
    experiment = make(train_steps=2)
    assert experiment.run("loop_forever", times=3) == 6
    assert experiment.run("evaluate") == "what the schedule returned"
    experiment.train()
    assert experiment.run("expcore:evaluate")["global_step"] == 2


def test_an_option_called_like_an_argument_of_run_reaches_the_schedule(make, box):
    box.add("schedules", "odd", lambda experiment, schedule: schedule)
    assert make().run("odd", schedule=5) == 5


@pytest.mark.parametrize(
    ("schedule", "options", "message"),
    [
        (
            "train",
            {"delay": 1},
            r"'train' \(expcore .*\): it has no option 'delay'; did you mean 'delay_secs'",
        ),
        ("train_and_evaluate", {"x": 1}, "its options are none"),
        ("continuous_eval_on_train_data", {"backlog": "all"}, "no option 'backlog'"),
        ("evaluate", {"experiment": 1}, "no option 'experiment'"),
    ],
)
def test_an_option_that_a_schedule_does_not_have_is_an_error_and_nothing_is_made(
    make, tmp_path, schedule, options, message
):
    with pytest.raises(UnknownOption, match=message) as caught:
        make().run(schedule, **options)
    assert isinstance(caught.value, TypeError)
    with pytest.raises(UnknownOption, match=message):
        getattr(make(), schedule)(**options)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_schedule_is_an_error_with_the_nearest_name(make):
    with pytest.raises(UnknownComponent, match="did you mean 'train_and_evaluate'") as caught:
        make().run("train_and_evalaute")
    assert isinstance(caught.value, ValueError)


def test_two_strangers_with_one_schedule_are_an_error_when_it_is_run(make, box):
    box.add("schedules", "train", Options(), dist="a").add("schedules", "train", Options(), dist="b")
    experiment = make()
    with pytest.raises(ComponentConflict):
        experiment.train()


def test_a_blocked_schedule_is_gone(make):
    box = PluginSandbox(builtins=True, disable=["schedules/test"])
    with pytest.raises(UnknownComponent):
        make(plugins=box.host).test()


def test_schedules_that_a_plugin_works_out_at_run_time_can_be_run(make, box):
    class Plugin:
        @hookimpl
        def expcore_schedules(self):
            return {"late": lambda experiment: "it ran"}

    box.observe(Plugin)
    assert make().run("late") == "it ran"


def test_methods_may_be_called_again_and_again_and_leave_no_hooks_behind(make, tmp_path):
    seen = []

    class Spy(NumpyEstimator):
        def train(self, input_fn, hooks=None, steps=None, max_steps=None, saving_listeners=None):
            seen.append((len(hooks), len(saving_listeners)))
            return super().train(input_fn, hooks, steps, max_steps, saving_listeners)

        def evaluate(self, input_fn, steps=None, hooks=None, checkpoint_path=None, name=None):
            seen.append(len(hooks))
            return super().evaluate(input_fn, steps, hooks, checkpoint_path, name)

    class Hook:
        def end(self, run):
            pass

    experiment = make(
        estimator=Spy(str(tmp_path)),
        train_steps_per_iteration=1,
        train_hooks=[Hook()],
        eval_hooks=[Hook()],
        eval_every_n_steps=1,
    )
    experiment.run("continuous_train_and_evaluate", continuous_eval_predicate_fn=lambda r: r is None)
    first, seen[:] = list(seen), []
    for _ in range(3):
        experiment.run("continuous_train_and_evaluate", continuous_eval_predicate_fn=lambda r: r is None)
        assert seen == first
        seen.clear()
    assert (len(experiment.train_hooks), len(experiment.eval_hooks)) == (1, 1)


def test_a_directory_that_cannot_be_written_is_told_before_anything_runs(make, tmp_path):
    (tmp_path / "file").write_text("in the way")
    ran = []

    class Never(NumpyEstimator):
        def train(self, *args, **kwargs):
            ran.append(args)

    experiment = make(estimator=Never(str(tmp_path / "file" / "model")))
    with pytest.raises(CannotWrite, match="it cannot be written") as caught:
        experiment.train()
    assert isinstance(caught.value, OSError)
    assert ran == []
    assert [n for n in caught.value.__notes__ if "could not be recorded" in n]


def test_the_estimators_of_the_tests_are_estimators(tmp_path):
    assert isinstance(NumpyEstimator(str(tmp_path)), Estimator)


def test_a_copy_has_the_same_parts_without_eval_hooks_and_shares_no_list(make, tmp_path):
    exporter = Exporter()
    experiment = make(
        train_hooks=["t"], eval_hooks=["e"], eval_steps=3, train_steps=9, export_strategies=exporter
    )
    other = NumpyEstimator(str(tmp_path / "copy"))
    copy = experiment.copy(other)
    assert (copy.estimator, copy.model_dir) == (other, str(tmp_path / "copy"))
    assert (copy.train_hooks, copy.eval_hooks, copy.eval_steps, copy.train_steps) == (("t",), (), 3, None)
    assert (copy.plugins, copy.clock, copy.export_strategies) == (
        experiment.plugins,
        experiment.clock,
        (exporter,),
    )
    copy.extend_train_hooks(["more"])
    assert experiment.train_hooks == ("t",)
