"""Plugins that call sys.exit(), or are never executed: errors that name them, and the others are told."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings

import pytest

from expcore.calling import ask_predicate, check_ran, no_exit
from expcore.cluster import RunConfig
from expcore.config.components import Components
from expcore.errors import ExportFailed, InvalidArgument, PluginError, StoppedBySignal, UnknownOption
from expcore.events import LogReader
from expcore.experiment import Experiment
from expcore.hookspecs import hookimpl
from expcore.reading import reading_run, told
from expcore.testing import PluginSandbox, VirtualClock, fake_distribution
from expcore.testing.numpy_estimator import NumpyEstimator

RULE = r"called sys\.exit\(0\); a plugin must raise instead"


def leave(*_, **__):
    sys.exit(0)


def observer(hook, does, called=None):
    class Observer:
        pass

    def answer(self, experiment):
        if called is not None:
            called.append(hook)
        return does()

    answer.__name__ = hook
    setattr(Observer, hook, hookimpl(answer))
    return Observer


class Failures:
    def __init__(self):
        self.errors = []

    @hookimpl
    def expcore_failed(self, error):
        self.errors.append(error)


class Exporter:
    name = "mine"

    def __init__(self, does=lambda: None):
        self.does, self.calls = does, 0

    def export(self, estimator, export_path):
        self.calls += 1
        return self.does()


@pytest.fixture
def box():
    return PluginSandbox(builtins=True, disable=["plugins/default_hooks"])


@pytest.fixture
def make(tmp_path, box):
    def experiment(data=None, **arguments):
        clock = VirtualClock()
        config = RunConfig(model_dir=str(tmp_path / "model"), save_checkpoints_steps=2)
        data = data or (lambda: [([[1.0]], [1.0])] * 50)
        estimator = NumpyEstimator(config=config, clock=clock)
        return Experiment(
            estimator, data, data, plugins=box.host, clock=clock, **({"train_steps": 4} | arguments)
        )

    return experiment


def kinds(experiment):
    return [event.kind for event in LogReader(experiment.model_dir).read()]


# --- sys.exit() ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "words"), [(SystemExit(), "sys.exit()"), (SystemExit("bye"), "sys.exit('bye')")]
)
def test_an_exit_becomes_an_error_with_it_as_its_cause(end, words):
    with pytest.raises(PluginError) as caught, no_exit("exporter 'best'"):
        raise end
    assert str(caught.value) == f"exporter 'best' called {words}; a plugin must raise instead"
    assert caught.value.__cause__ is end
    assert caught.value.exit_code == 70


@pytest.mark.parametrize(
    "end", [KeyboardInterrupt(), StoppedBySignal(15), SystemExit(143), SystemExit(130), KeyError("x")]
)
def test_a_user_a_signal_and_errors_go_through(end):
    with pytest.raises(type(end)) as caught, no_exit("exporter 'best'"):
        raise end
    assert caught.value is end


def test_a_factory_that_exits_is_named(box):
    box.add("exporters", "exits", leave, dist="expcore-x", version="1.0")
    with pytest.raises(PluginError, match=rf"exporter 'exits' \(expcore-x 1.0\) {RULE}") as caught:
        box.host.create("exporters", "exits")
    assert caught.value.__notes__ == ["raised while making exporter 'exits' (expcore-x 1.0)"]


def test_a_factory_that_a_config_asks_for_and_exits_is_named(box):
    box.add("exporters", "exits", leave, dist="expcore-x", version="1.0")
    made = Components(box.host).check("exporters", {"type": "exits"}, "train.exporter")
    with pytest.raises(PluginError, match=rf"exporter 'exits' \(expcore-x 1.0\) {RULE}") as caught:
        made()
    assert caught.value.__notes__[0].endswith("of train.exporter")


def test_a_policy_of_bare_formats_that_exits_is_named(make, box):
    class Text:
        def write(self, estimator, directory):
            raise AssertionError("nothing is written")

    box.add("exporters", "latest", leave, dist="expcore-x", version="1.0")
    with pytest.raises(PluginError, match=f"exporter 'latest' {RULE}"):
        make(export_strategies=Text())


def test_an_observer_that_exits_is_named_and_notify_tells_the_others():
    called = []
    box = PluginSandbox()
    box.add("plugins", "good", observer("expcore_before_train", lambda: None, called), dist="a")
    box.add("plugins", "bad", observer("expcore_before_train", leave), dist="expcore-x", version="1.0")
    named = rf"expcore_before_train\(\) of plugin 'bad' \(expcore-x 1.0\) {RULE}"
    with pytest.raises(PluginError, match=named):
        box.host.ask("expcore_before_train", experiment=None)
    assert called == []
    (error,) = box.host.notify("expcore_before_train", experiment=None)
    assert isinstance(error, PluginError)
    assert called == ["expcore_before_train"]


def test_the_first_to_answer_that_exits_is_named():
    class Adapts:
        @hookimpl
        def expcore_adapt_hooks(self, hooks):
            sys.exit(0)

    box = PluginSandbox().add("plugins", "bad", Adapts, dist="expcore-x")
    with pytest.raises(PluginError, match=rf"expcore_adapt_hooks\(\) of plugin 'bad' .* {RULE}"):
        box.host.first("expcore_adapt_hooks", estimator=None, hooks=[])


def test_a_catalogue_that_exits_is_a_broken_plugin_and_the_others_are_there(caplog):
    class Works:
        @hookimpl
        def expcore_hooks(self):
            sys.exit(0)

    box = PluginSandbox().add("plugins", "bad", Works, dist="expcore-x").add("hooks", "h", dict, dist="a")
    box.host.start()
    assert [c.name for c in box.host.catalogue("hooks")] == ["h"]
    (failure,) = box.host.failures
    assert (failure.dist, failure.phase) == ("expcore-x", "catalogue")
    assert len(caplog.messages) == 1


def test_a_predicate_that_exits_is_named():
    with pytest.raises(PluginError, match=f"predicate .*leave {RULE}"):
        ask_predicate(leave, {}, None, None)


@pytest.mark.parametrize("method", ["begin", "next_step", "after_steps", "after_save", "get_state", "end"])
def test_a_hook_that_exits_is_named_the_run_is_recorded_as_failed_and_all_are_told(method, make, box):
    def exits(self, *_):
        sys.exit(0)

    methods = {
        "begin": lambda self, run: None,
        "set_state": lambda self, state: None,
        "get_state": lambda self: 1,
        method: exits,
    }
    hook = type("Leaving", (), {"every_secs": 0.0, **methods})()
    watch = Failures()
    box.observe(watch)
    experiment = make(train_hooks=[hook])
    with pytest.raises(PluginError, match=rf"{method}\(\) of .*Leaving {RULE}") as caught:
        experiment.train()
    assert watch.errors == [caught.value]
    assert kinds(experiment)[0] == "schedule_started"
    assert kinds(experiment)[-1] == "failed"


def test_a_hook_of_an_evaluation_that_exits_is_named():
    hook = type("Leaving", (), {"begin": leave})()
    run = reading_run(3, None, "models", VirtualClock())
    named = rf"begin\(\) of .*Leaving {RULE}"
    with pytest.raises(PluginError, match=named), told(run, [hook]):
        raise AssertionError("the block is not reached")


def test_an_exporter_that_exits_is_named_and_the_others_export(make):
    other = Exporter()
    other.name = "other"
    with pytest.raises(ExportFailed) as caught:
        make(export_strategies=[Exporter(leave), other]).train_and_evaluate()
    assert "exporter 'mine' called sys.exit(0); a plugin must raise instead" in str(caught.value)
    assert caught.value.exit_code == 70
    assert other.calls > 0


def test_a_schedule_that_exits_is_named_and_recorded_as_failed(make, box):
    box.add("schedules", "exits", leave, dist="expcore-x", version="1.0")
    watch = Failures()
    box.observe(watch)
    experiment = make()
    with pytest.raises(PluginError, match=rf"^schedule 'exits' \(expcore-x 1.0\).* {RULE}") as caught:
        experiment.run("exits")
    assert watch.errors == [caught.value]
    assert kinds(experiment) == ["schedule_started", "failed"]


def test_an_exit_elsewhere_in_a_run_is_no_end_of_it_either(make):
    with pytest.raises(PluginError, match=rf"^schedule 'train' \(expcore .*\), or what it called, {RULE}"):
        make(data=leave).train()
    with pytest.raises(PluginError, match=rf"^a part of the experiment {RULE}"):
        make(data=leave).train_pass()


PROGRAM = """
import numpy as np
from expcore import Experiment, default_host
from expcore.testing.numpy_estimator import NumpyEstimator

def data():
    return [(np.ones((2, 1)), np.ones(2))] * 50

def experiment(output_dir):
    return Experiment(NumpyEstimator(output_dir), data, data, train_steps=4, {})
"""

MADE = "export_strategies=default_host().create('exporters', 'exits')"
HOOKED = "train_hooks=[default_host().create('hooks', 'exits')]"
MODULE = """
import sys
import expcore

class Hook:
    def begin(self, run):
        sys.exit(0)

def factory():
    sys.exit(0)

@expcore.hookimpl
def expcore_before_train(experiment):
    sys.exit(0)
"""


def command(tmp_path, schedule):
    env = {k: v for k, v in os.environ.items() if not k.startswith("EXPCORE_")}
    args = ["run", tmp_path / "exp.py", "--output-dir", tmp_path / "out", "--schedule", schedule]
    return subprocess.run(
        [sys.executable, "-c", "from expcore.cli import main; main()", *map(str, args)],
        env=env | {"PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("groups", "given", "part"),
    [
        ({"exporters": {"exits": "exits_mod:factory"}}, MADE, "exporter 'exits' (expcore-x 1.0)"),
        ({"hooks": {"exits": "exits_mod:Hook"}}, HOOKED, "begin() of exits_mod.Hook"),
        ({"plugins": {"exits": "exits_mod"}}, "", "of plugin 'exits' (expcore-x 1.0)"),
    ],
    ids=["factory", "hook", "observer"],
)
def test_a_run_that_a_plugin_leaves_ends_with_70_and_a_line(groups, given, part, tmp_path):
    groups = {f"expcore.{kind}": entries for kind, entries in groups.items()}
    fake_distribution(tmp_path / "site", "expcore-x", "1.0", groups, {"exits_mod": MODULE})
    (tmp_path / "exp.py").write_text(PROGRAM.format(given))
    done = command(tmp_path, "train")
    assert done.returncode == 70, done.stderr
    (line,) = [each for each in done.stderr.splitlines() if each.startswith("expcore: error: ")]
    assert part in line
    assert "called sys.exit(0); a plugin must raise instead" in line


# --- never executed -----------------------------------------------------------------------------------


async def later(*_, **__):
    raise AssertionError("nobody awaits it")


async def giving(*_, **__):
    yield 1


def yielding(*_, **__):
    yield 1


WHAT = [(later, "coroutine"), (giving, "async generator"), (yielding, "generator")]


@pytest.fixture(autouse=True)
def no_warnings():
    """A coroutine that was not closed is a RuntimeWarning when it is thrown away."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize(("function", "what"), WHAT)
def test_what_was_never_executed_is_refused(function, what):
    with pytest.raises(PluginError, match=f"^thing returned a {what}, so that nothing of it was executed"):
        check_ran(function(), "thing")


def test_answers_go_through_and_generators_where_they_are_used():
    for answer in (None, 1, [], iter([])):
        check_ran(answer, "thing")
    made = yielding()
    check_ran(made, "thing", generators=True)
    assert list(made) == [1]


@pytest.mark.parametrize(("function", "what"), WHAT)
def test_a_schedule_that_was_never_executed_is_an_error_and_not_done(function, what, make, box):
    box.add("schedules", "lazy", function, dist="expcore-x", version="1.0")
    experiment = make()
    with pytest.raises(PluginError, match=rf"^schedule 'lazy' \(expcore-x 1.0\) returned a {what}"):
        experiment.run("lazy")
    assert kinds(experiment) == ["schedule_started", "failed"]


@pytest.mark.parametrize(("function", "what"), WHAT)
def test_an_observers_hook_that_was_never_executed_is_an_error(function, what):
    box = PluginSandbox().add("plugins", "lazy", observer("expcore_before_train", function), dist="expcore-x")
    named = rf"^expcore_before_train\(\) of plugin 'lazy' \(expcore-x 0\) returned a {what}"
    with pytest.raises(PluginError, match=named):
        box.host.ask("expcore_before_train", experiment=None)
    (error,) = box.host.notify("expcore_before_train", experiment=None)
    assert isinstance(error, PluginError)


def test_hooks_may_be_given_by_a_generator_and_by_no_coroutine():
    hook = observer("expcore_train_hooks", yielding)
    ((_, answer),) = (
        PluginSandbox().add("plugins", "o", hook).host.ask("expcore_train_hooks", experiment=None)
    )
    assert list(answer) == [1]
    hook = observer("expcore_train_hooks", later)
    with pytest.raises(PluginError, match="returned a coroutine"):
        PluginSandbox().add("plugins", "o", hook).host.ask("expcore_train_hooks", experiment=None)


def test_a_hooks_method_an_exporter_and_a_predicate_that_were_never_executed_are_errors(make):
    hook = type("Lazy", (), {"begin": later})()
    with pytest.raises(PluginError, match=r"begin\(\) of .*Lazy returned a coroutine"):
        make(train_hooks=[hook]).train()
    with pytest.raises(ExportFailed, match="exporter 'mine' returned a coroutine"):
        make(export_strategies=Exporter(later)).train_and_evaluate()
    with pytest.raises(PluginError, match=r"predicate .*later returned a coroutine"):
        ask_predicate(later, {}, None, None)


# --- options of a schedule ----------------------------------------------------------------------------


def test_an_option_without_default_that_is_not_given_is_one_sentence(make, box):
    def n(experiment, rounds, *, pause=1, **more):
        return rounds

    box.add("schedules", "n", n, dist="expcore-x", version="1.0")
    with pytest.raises(InvalidArgument, match=r"^schedule 'n' \(expcore-x 1.0\): option 'rounds' has no def"):
        make().run("n", pause=2)
    assert make().run("n", rounds=3) == 3


def test_an_option_that_is_misspelt_is_told_before_one_that_is_missing(make, box):
    box.add("schedules", "n", lambda experiment, rounds: rounds, dist="expcore-x", version="1.0")
    with pytest.raises(UnknownOption, match="no option 'round'; did you mean 'rounds'"):
        make().run("n", round=3)


def test_a_missing_option_ends_the_command_with_64(tmp_path):
    source = "def n(experiment, rounds):\n    return None\n"
    site = tmp_path / "site"
    fake_distribution(site, "expcore-x", "1.0", {"expcore.schedules": {"n": "n_mod:n"}}, {"n_mod": source})
    (tmp_path / "exp.py").write_text(PROGRAM.format(""))
    done = command(tmp_path, "n")
    assert done.returncode == 64, done.stderr
    assert "schedule 'n' (expcore-x 1.0): option 'rounds' has no default and is not given" in done.stderr
