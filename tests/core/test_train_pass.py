"""The train pass: what it records, how it ends, its hooks, its lock, and estimators without listeners."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from expcore.cluster import RunConfig, parse_tf_config
from expcore.errors import CannotWrite, InvalidHook, Locked, NotTrained, StoppedBySignal
from expcore.events import LogReader
from expcore.experiment import Experiment
from expcore.hookspecs import hookimpl
from expcore.testing import PluginSandbox, VirtualClock
from expcore.testing.numpy_estimator import NumpyEstimator


def endless():
    n = 0
    while True:
        yield [[float(n % 5)]], [1.0]
        n += 1


class At:
    """A hook that does something at certain steps."""

    def __init__(self, deeds):
        self.deeds, self.steps = dict(deeds), []

    def next_step(self, step):
        return min((s for s in self.deeds if s > step), default=None)

    def after_steps(self, run):
        self.steps.append(run.step)
        if run.step in self.deeds:
            self.deeds[run.step](run)


class Tick:
    """A hook that makes every step take its time."""

    def __init__(self, secs):
        self.secs = secs

    def next_step(self, step):
        return step + 1

    def after_steps(self, run):
        run.clock.sleep(self.secs)


class Deaf:
    """Takes no listeners and only hooks of its own kind, as an estimator of 2017; counts its calls.

    Its checkpoints are called as TensorFlow's, by a prefix that ends in the step.
    """

    def __init__(self, config, clock):
        self.inner, self.calls = NumpyEstimator(config=config, clock=clock), []
        self.model_dir, self.config = self.inner.model_dir, config

    def train(self, input_fn, hooks=None, steps=None, max_steps=None):
        self.calls.append((steps, max_steps))
        self.inner.train(input_fn, hooks, steps, max_steps)
        return self

    def evaluate(self, input_fn, steps=None, hooks=None, checkpoint_path=None, name=None):
        return self.inner.evaluate(input_fn, steps, hooks, f"{checkpoint_path}.json", name)

    def latest_checkpoint(self):
        latest = self.inner.latest_checkpoint()
        return latest and latest.removesuffix(".json")


class Hooked(Deaf):
    """Takes no listeners, but our hooks."""

    def supports_hook(self, hook):
        return self.inner.supports_hook(hook)


class Stepless(Deaf):
    """Its checkpoints do not tell their steps."""

    def latest_checkpoint(self):
        return self.inner.latest_checkpoint()

    def evaluate(self, input_fn, steps=None, hooks=None, checkpoint_path=None, name=None):
        return self.inner.evaluate(input_fn, steps, hooks, checkpoint_path, name)


class Mute(NumpyEstimator):
    """Takes listeners and tells them nothing."""

    def train(self, input_fn, hooks=None, steps=None, max_steps=None, saving_listeners=None):
        return super().train(input_fn, hooks, steps, max_steps)


class Listener:
    def __init__(self, answer=None):
        self.answer, self.told = answer, []

    def after_save(self, session, global_step):
        self.told.append((session, global_step))
        return self.answer


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def box():
    return PluginSandbox(builtins=True, disable=["plugins/default_hooks"])


@pytest.fixture
def make(tmp_path, clock, box):
    def experiment(kind=NumpyEstimator, config=None, **arguments):
        config = RunConfig(model_dir=str(tmp_path), **(config or {}))
        arguments = {"train_input_fn": endless, "eval_input_fn": lambda: [([[1.0]], [1.0])]} | arguments
        return Experiment(kind(config=config, clock=clock), plugins=box.host, clock=clock, **arguments)

    return experiment


def events(directory, *kinds):
    return [e for e in LogReader(str(directory)).read() if not kinds or e.kind in kinds]


# --- how a pass ends -------------------------------------------------------------------------------------


def test_a_pass_trains_until_train_steps_and_says_so(make):
    experiment = make(train_steps=7)
    end = experiment.train_pass()
    assert (end.step, end.reason, end.steps, end.over) == (7, "max_steps", 7, True)
    assert end.checkpoint == experiment.latest_checkpoint().id == experiment.history.saves[-1].id


def test_a_pass_of_steps_makes_so_many_more_also_beyond_train_steps(make):
    experiment = make(train_steps=5)
    assert [experiment.train_pass(steps=4).reason, experiment.train_pass(steps=4).step] == ["steps", 8]
    assert experiment.history.training_ends[-1].reason == "max_steps"


def test_where_the_input_ends_the_pass_ends_with_that_reason(make):
    experiment = make(train_steps=50, train_input_fn=lambda: [([[1.0]], [1.0])] * 3)
    end = experiment.train_pass()
    assert (end.step, end.reason, end.steps) == (3, "input ended", 3)


def test_a_hooks_reason_is_the_passs(make):
    hook = At({4: lambda run: run.request_stop("good enough")})
    end = make(train_steps=50).train_pass(hooks=[hook])
    assert (end.step, end.reason) == (4, "good enough")


def test_where_train_steps_are_reached_no_step_is_made_and_no_hook_is_asked(make):
    make(train_steps=5).train()
    hook = At({})
    experiment = make(train_steps=5, train_hooks=[hook])
    end = experiment.train_pass()
    assert (end.step, end.reason, end.steps, hook.steps) == (5, "max_steps", 0, [])
    assert end.checkpoint == experiment.latest_checkpoint().id
    assert experiment.history.training_ends[-1] == end


def test_an_estimator_without_our_hooks_ends_with_the_reason_that_its_step_tells(make):
    assert make(Deaf, train_steps=5).train_pass().reason == "max_steps"
    assert make(Deaf).train_pass(steps=3).reason == "steps"
    short = make(Deaf, train_steps=50, train_input_fn=lambda: [([[1.0]], [1.0])] * 3)
    assert (short.train_pass().reason, short.history.training_ends[-1].step) == ("input ended", 11)


# --- what is recorded ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [NumpyEstimator, Hooked, Deaf, Mute])
def test_the_last_save_is_recorded_whether_or_not_the_estimator_tells_listeners(make, tmp_path, kind):
    experiment = make(kind, train_steps=6)
    experiment.train()
    (saved,) = events(tmp_path, "saved")
    assert (saved.data["step"], saved.data["path"], saved.data["inside"]) == (
        6,
        os.path.basename(experiment.estimator.latest_checkpoint()),
        True,
    )
    assert saved.data["fingerprint"][0] == Path(tmp_path, "ckpt-6.json").stat().st_size
    assert experiment.latest_checkpoint().id == saved.id


def test_every_save_is_recorded_and_then_the_users_listeners_are_told(make):
    recorded = []

    class Looking(Listener):
        def after_save(self, session, global_step):
            recorded.append([c.step for c in experiment.history.saves])
            return super().after_save(session, global_step)

    listener = Looking()
    experiment = make(config={"save_checkpoints_steps": 2}, train_steps=5, saving_listeners=[listener])
    experiment.train()
    assert listener.told == [(None, 2), (None, 4), (None, 5)]
    assert recorded == [[2], [2, 4], [2, 4, 5]]


def test_a_listener_that_returns_true_ends_training(make):
    experiment = make(config={"save_checkpoints_steps": 2}, train_steps=9, saving_listeners=[Listener(True)])
    end = experiment.train_pass()
    assert end.step == 2
    assert "Listener" in end.reason


def test_a_training_of_several_passes_has_one_start_and_one_end_with_all_its_steps(make, tmp_path, box):
    def schedule(experiment):
        for _ in range(3):
            experiment.train_pass(steps=4)
        experiment.evaluate_pass()

    box.add("schedules", "thrice", schedule)
    make(train_steps=100).run("thrice")
    assert [e.kind for e in events(tmp_path)] == [
        "schedule_started",
        "training_started",
        "saved",
        "saved",
        "saved",
        "evaluated",
        "training_ended",
        "schedule_ended",
    ]
    (end,) = events(tmp_path, "training_ended")
    assert (end.data["step"], end.data["steps"], end.data["reason"]) == (12, 12, "steps")
    (start,) = events(tmp_path, "training_started")
    assert (start.data["run"], start.data["generation"], start.data["step"]) == (end.data["run"], 1, 0)


def test_each_training_of_a_directory_has_the_next_number(make, tmp_path):
    for steps in (2, 4, 4):
        make(train_steps=steps).train()
    found = [(e.data["generation"], e.data["step"]) for e in events(tmp_path, "training_started")]
    assert sorted(found) == [(1, 0), (2, 2), (3, 4)]


def test_a_schedule_that_trains_nothing_has_no_training_in_the_log(make, tmp_path):
    make(train_steps=2).train()
    before = len(events(tmp_path, "training_started", "training_ended"))
    make().evaluate()
    assert len(events(tmp_path, "training_started", "training_ended")) == before


def test_an_error_ends_the_training_not_for_good_at_the_step_that_is_saved(make):
    def burst(run):
        raise KeyError("burst")

    experiment = make(config={"save_checkpoints_steps": 2}, train_steps=9)
    with pytest.raises(KeyError):
        experiment.train_pass(hooks=[At({5: burst})])
    (end,) = experiment.history.training_ends
    assert (end.step, end.reason, end.over) == (4, "KeyError: 'burst'", False)
    assert end.checkpoint == experiment.latest_checkpoint().id


def test_an_error_in_a_later_pass_ends_the_training_at_what_is_saved_then(make, box):
    def burst(run):
        raise KeyError("burst")

    def schedule(experiment):
        experiment.train_pass(steps=3)
        experiment.train_pass(steps=9, hooks=[At({8: burst})])

    box.add("schedules", "twice", schedule)
    experiment = make(config={"save_checkpoints_steps": 2})
    with pytest.raises(KeyError):
        experiment.run("twice")
    (end,) = experiment.history.training_ends
    assert (end.step, end.over) == (7, False)
    assert end.checkpoint == experiment.latest_checkpoint().id


def test_run_json_says_what_the_training_was_made_of(make, tmp_path, clock):
    clock.sleep(5)
    make(config={"random_seed": 3}, train_steps=2, train_hooks=[At({})]).train()
    record = json.loads((tmp_path / "expcore" / "run.json").read_text())
    assert set(record) == {"run", "time", "python", "packages", "seed", "experiment", "plugins"}
    assert record["run"] == events(tmp_path, "training_started")[0].data["run"]
    assert (record["time"], record["seed"]) == (5, 3)
    assert {"expcore", "numpy"} <= set(record["packages"])
    assert record["experiment"]["train_steps"] == 2
    assert record["experiment"]["estimator"].endswith("NumpyEstimator")
    assert record["plugins"]["components"]["schedules/train"]["dist"] == "expcore"
    assert not list((tmp_path / "expcore").glob("*.tmp"))


def test_a_record_that_cannot_be_written_is_told_as_such(make, tmp_path):
    (tmp_path / "expcore" / "run.json").mkdir(parents=True)
    with pytest.raises(CannotWrite, match=r"run\.json: the record of the run cannot be written"):
        make(train_steps=2).train()


def test_the_heart_beats_while_training_and_says_the_end(make, tmp_path, clock):
    seen = []

    def look(run):
        clock.sleep(4)
        (status,) = (tmp_path / "expcore").glob("status-*.json")
        seen.append(json.loads(status.read_text()))

    experiment = make(train_steps=10, train_hooks=[At(dict.fromkeys(range(1, 10), look))])
    experiment.train()
    counters = [status["counter"] for status in seen]
    assert counters == sorted(counters)
    assert len(set(counters)) == 3, "one at the start and every ten seconds, of 36"
    assert {status["state"] for status in seen} == {"training"}
    (status,) = (tmp_path / "expcore").glob("status-*.json")
    last = json.loads(status.read_text())
    assert (last["state"], last["step"]) == ("ended", 10)
    assert last["run"] == experiment.history.training_ends[-1].run


# --- on_save and save_every ------------------------------------------------------------------------------


def test_on_save_is_called_with_every_recorded_checkpoint_but_the_last(make):
    seen = []
    experiment = make(config={"save_checkpoints_steps": 3}, train_steps=8)
    experiment.train_pass(on_save=lambda c: seen.append((c.step, experiment.history.saves[-1] == c)))
    assert seen == [(3, True), (6, True)]


def test_on_save_that_returns_true_ends_training_asked_by_the_schedule(make):
    experiment = make(config={"save_checkpoints_steps": 3}, train_steps=50)
    end = experiment.train_pass(on_save=lambda c: c.step == 6)
    assert (end.step, end.reason) == (6, "asked by the schedule")


def test_save_every_counts_from_the_last_save_and_comes_besides_the_configs_rhythm(make):
    experiment = make(train_steps=10)
    experiment.train_pass(save_every=4)
    assert [c.step for c in experiment.history.saves] == [4, 8, 10]
    experiment = make(config={"save_checkpoints_steps": 3}, train_steps=24)
    experiment.train_pass(save_every=5)
    assert [c.step for c in experiment.history.saves] == [4, 8, 10, 13, 16, 19, 22, 24]


# --- hooks -----------------------------------------------------------------------------------------------


def test_a_hook_that_the_estimator_refuses_is_told_before_the_first_step(make, tmp_path):
    class Session:
        requires = "tensorflow"

        def begin(self, run):
            raise AssertionError("it began")

    for place in ({"train_hooks": [Session()]}, {}):
        experiment = make(train_steps=5, **place)
        with pytest.raises(InvalidHook, match="NumpyEstimator cannot take it and no plugin adapts it"):
            experiment.train_pass(hooks=[] if place else [Session()])
    with pytest.raises(InvalidHook, match="cannot take it"):
        make(train_steps=5, train_hooks=[object()]).train()
    assert make().latest_checkpoint() is None
    assert {e.data["over"] for e in events(tmp_path, "training_ended")} == {False}


def test_a_plugin_can_adapt_hooks_to_an_estimator(make, box):
    class Foreign:
        pass

    class Plugin:
        @hookimpl
        def expcore_adapt_hooks(self, estimator, hooks):
            return [At({}) if isinstance(hook, Foreign) else hook for hook in hooks]

    box.observe(Plugin)
    assert make(train_steps=3, train_hooks=[Foreign(), At({})]).train_pass().step == 3


def test_hooks_that_plugins_add_come_first_and_only_to_an_estimator_that_takes_them(make, box):
    order = []

    class Named:
        def __init__(self, name, requires=None):
            self.name, self.requires = name, requires

        def begin(self, run):
            order.append((self.name, run.history is not None))

    class Plugin:
        @hookimpl
        def expcore_train_hooks(self, experiment):
            return [Named("added"), Named("refused", "tensorflow")]

    box.observe(Plugin)
    experiment = make(train_steps=3, train_hooks=[Named("user's")])
    experiment.train_pass(hooks=[Named("schedule's")])
    assert order == [("added", True), ("user's", True), ("schedule's", True)]
    order.clear()
    other = make(Deaf, train_steps=6, train_hooks=[Named("user's")])
    other.train()
    assert order == [("user's", False)]


def test_a_failing_hook_fails_the_pass_with_its_name(make):
    def burst(run):
        raise KeyError

    with pytest.raises(KeyError) as caught:
        make(train_steps=5, train_hooks=[At({2: burst})]).train()
    assert any("At" in note for note in caught.value.__notes__)


# --- one trainer -----------------------------------------------------------------------------------------


HOLD = """
import fcntl, os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(fd, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def test_while_another_process_trains_there_a_second_trainer_is_refused(make, tmp_path):
    (tmp_path / "expcore").mkdir()
    lock = tmp_path / "expcore" / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(Locked, match="only one may"):
            make(train_steps=5).train()
        with pytest.raises(NotTrained):
            make().evaluate()
        other.communicate()
    make(train_steps=5).train()
    with pytest.raises(Locked, match=f"process {os.getpid()} on "), _held(lock):
        make(train_steps=10).train()


class _held:
    def __init__(self, path):
        self.fd = os.open(path, os.O_RDWR)

    def __enter__(self):
        fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def __exit__(self, *_):
        os.close(self.fd)


def test_the_lock_is_held_until_the_schedule_ends_and_free_afterwards(make, box, tmp_path):
    def schedule(experiment):
        experiment.train_pass(steps=2)
        with pytest.raises(Locked):
            make().train_pass(steps=2)
        experiment.evaluate_pass()
        with pytest.raises(Locked):
            make().train_pass(steps=2)
        raise KeyError

    box.add("schedules", "two", schedule)
    with pytest.raises(KeyError):
        make().run("two")
    assert make().train_pass(steps=2).step == 4


def test_a_worker_that_is_not_chief_takes_no_lock_and_records_no_save(make, tmp_path):
    task = parse_tf_config(
        {"cluster": {"chief": ["h:1"], "worker": ["h:2"]}, "task": {"type": "worker", "index": 0}}
    )
    (tmp_path / "expcore").mkdir()
    (tmp_path / "expcore" / "lock").touch()
    seen = []
    with _held(tmp_path / "expcore" / "lock"):
        experiment = make(config={"task": task, "save_checkpoints_steps": 2}, train_steps=4)
        end = experiment.train_pass(on_save=seen.append)
    assert (end.step, seen) == (4, [])
    assert events(tmp_path, "saved", "training_started", "training_ended") == []
    assert not list((tmp_path / "expcore").glob("status-*"))


# --- signals ---------------------------------------------------------------------------------------------


def test_a_signal_saves_the_state_and_the_next_run_goes_on_exactly(make, tmp_path, clock, box):
    other = NumpyEstimator(str(tmp_path / "other"), clock=clock)
    undisturbed = Experiment(other, endless, endless, train_steps=20, plugins=box.host, clock=clock)
    undisturbed.train()

    experiment = make(
        train_steps=20,
        train_hooks=[Tick(0.4), At({7: lambda run: experiment.interrupt(15)})],
    )
    with pytest.raises(StoppedBySignal) as caught:
        experiment.train()
    step = experiment.latest_checkpoint().step
    assert caught.value.code == 143
    assert 7 < step <= 10, "within a second of 0.4 s a step"
    (end,) = experiment.history.training_ends
    assert (end.reason, end.step, end.steps, end.over) == ("signal", step, step, False)
    assert events(tmp_path, "schedule_ended")[-1].data["signal"] == 15
    assert events(tmp_path, "failed") == []

    assert experiment.train() is experiment.estimator, "a signal that was answered is forgotten"
    assert experiment.history.training_ends[-1].over
    mine, other = (json.loads(Path(d, "ckpt-20.json").read_text()) for d in (tmp_path, tmp_path / "other"))
    assert mine == other


def test_a_signal_before_the_first_step_lets_none_be_made(make, tmp_path):
    experiment = make(train_steps=5)
    experiment.interrupt(2)
    with pytest.raises(StoppedBySignal) as caught:
        experiment.train()
    assert caught.value.code == 130
    assert make().latest_checkpoint() is None
    assert events(tmp_path, "training_started") == []


def test_a_signal_while_a_hook_begins_lets_no_step_be_made(make):
    class Begins:
        def begin(self, run):
            experiment.interrupt(15)
            assert run.history is not None
            assert run.stop_reason == "signal", "one that waits sees it when it looks at the history again"

    experiment = make(train_steps=5, train_hooks=[Begins()])
    with pytest.raises(StoppedBySignal):
        experiment.train()
    assert experiment.history.training_ends[-1].steps == 0


def test_a_signal_after_the_last_look_and_before_the_first_step_lets_no_step_be_made(make, box):
    class Plugin:
        @hookimpl
        def expcore_before_train(self, experiment):
            experiment.interrupt(15)

    box.observe(Plugin)
    experiment = make(train_steps=5)
    with pytest.raises(StoppedBySignal):
        experiment.train()
    assert experiment.history.training_ends[-1].steps == 0


def test_a_signal_during_an_evaluation_in_between_ends_training_in_order(make):
    ended = []

    class Hook:
        def end(self, run):
            ended.append(("end", run.step, run.stop_reason))

        def failed(self, run, error):
            ended.append(("failed", error))

    def data():
        experiment.interrupt(15)
        return [([[1.0]], [1.0])]

    experiment = make(
        config={"save_checkpoints_steps": 3}, train_steps=50, train_hooks=[Hook()], eval_input_fn=data
    )
    with pytest.raises(StoppedBySignal):
        experiment.train_and_evaluate()
    assert ended == [("end", 3, "signal")]
    assert [e.step for e in experiment.history.evaluations] == [3]


def test_a_signal_during_on_save_ends_training_at_that_checkpoint(make):
    def on_save(checkpoint):
        experiment.evaluate_pass(checkpoint.path)
        experiment.interrupt(15)

    experiment = make(config={"save_checkpoints_steps": 3}, train_steps=50)
    with pytest.raises(StoppedBySignal):
        experiment.train_pass(on_save=on_save)
    assert [c.step for c in experiment.history.saves] == [3]
    assert [e.step for e in experiment.history.evaluations] == [3]


def test_a_signal_before_a_save_keeps_on_save_from_being_called(make):
    seen = []
    experiment = make(
        config={"save_checkpoints_steps": 3},
        train_steps=50,
        train_hooks=[At({3: lambda run: experiment.interrupt(15)})],
    )
    with pytest.raises(StoppedBySignal):
        experiment.train_pass(on_save=seen.append)
    assert seen == []
    assert [c.step for c in experiment.history.saves] == [3]


# --- estimators without listeners ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Deaf, Hooked])
def test_without_listeners_training_stops_at_every_due_step_and_on_save_is_called_there(make, kind):
    seen = []
    experiment = make(kind, train_steps=10, eval_every_n_steps=4)
    end = experiment.train_pass(on_save=lambda c: seen.append(c.step), save_every=4)
    assert experiment.estimator.calls == [(None, 4), (None, 8), (None, 10)]
    assert seen == [4, 8]
    assert (end.step, end.steps, end.reason) == (10, 10, "max_steps")
    assert [c.step for c in experiment.history.saves] == [4, 8, 10]


@pytest.mark.parametrize(
    ("n", "config", "calls"),
    [
        (4, {}, [(None, 4), (None, 8), (None, 10)]),
        (4, {"save_checkpoints_steps": 3}, [(None, 4), (None, 8), (None, 10)]),
        (1, {"save_checkpoints_steps": 3}, [(None, 3), (None, 6), (None, 9), (None, 10)]),
        (1, {}, [(None, 10)]),
        (0, {"save_checkpoints_steps": 3}, [(None, 10)]),
        (None, {}, [(None, 10)]),
    ],
)
def test_without_listeners_and_save_every_the_experiments_rhythm_holds(make, n, config, calls):
    experiment = make(Deaf, config, train_steps=10, eval_every_n_steps=n)
    experiment.train_pass(on_save=lambda c: None)
    assert experiment.estimator.calls == calls


def test_without_listeners_checkpoints_that_do_not_tell_their_step_are_trained_to_the_end_once(make):
    experiment = make(Stepless, train_steps=10, eval_every_n_steps=4)
    experiment.train_pass(on_save=lambda c: None)
    assert experiment.estimator.calls == [(None, 4), (None, 8), (None, 10)]
    assert [c.step for c in experiment.history.saves] == [None] * 3
    more = make(Stepless, train_steps=14, eval_every_n_steps=4)
    assert more.train_pass(on_save=lambda c: None).reason == "input ended", "it cannot be told"
    assert more.estimator.calls == [(None, 14)]


def test_without_listeners_and_without_on_save_there_is_one_call(make):
    experiment = make(Deaf, train_steps=10, eval_every_n_steps=4)
    experiment.train_pass()
    assert experiment.estimator.calls == [(None, 10)]


def test_without_listeners_steps_are_cut_into_parts_as_well(make):
    experiment = make(Deaf, eval_every_n_steps=4)
    end = experiment.train_pass(steps=6, on_save=lambda c: None)
    assert experiment.estimator.calls == [(None, 4), (None, 6)]
    assert (end.step, end.reason) == (6, "steps")


def test_without_listeners_input_that_ends_is_not_begun_anew_in_the_middle_of_a_pass(make):
    seen = []
    experiment = make(
        Deaf, train_steps=50, eval_every_n_steps=4, train_input_fn=lambda: [([[1.0]], [1.0])] * 6
    )
    end = experiment.train_pass(on_save=lambda c: seen.append(c.step))
    assert experiment.estimator.calls == [(None, 4), (None, 8)]
    assert (seen, end.step, end.reason) == ([4], 6, "input ended"), "the last save is the schedule's"


def test_without_listeners_and_train_steps_it_is_not_interrupted_and_says_so(make, caplog):
    experiment = make(
        Deaf, eval_every_n_steps=4, train_input_fn=lambda: [([[1.0]], [1.0])] * 6, train_steps=None
    )
    experiment.train_pass(on_save=lambda c: None)
    assert experiment.estimator.calls == [(None, None)]
    assert "Deaf takes no saving_listeners and it is not known where it will end" in caplog.text


@pytest.mark.parametrize("kind", [Deaf, Hooked])
def test_without_listeners_on_save_can_end_training_and_so_can_a_signal(make, kind):
    experiment = make(kind, train_steps=20, eval_every_n_steps=4)
    end = experiment.train_pass(on_save=lambda c: c.step == 8)
    assert (end.step, end.reason) == (8, "asked by the schedule")
    with pytest.raises(StoppedBySignal):
        experiment.train_pass(on_save=lambda c: experiment.interrupt(15))
    assert experiment.latest_checkpoint().step == 12
    assert experiment.history.training_ends[-1].reason == "signal"


def test_every_run_records_what_the_names_stood_for(make, tmp_path):
    experiment = make(train_steps=2)
    experiment.train()
    experiment.evaluate()
    started = events(tmp_path, "schedule_started")
    stood = [event.data["plugins"]["components"]["schedules/train"]["dist"] for event in started]
    assert stood == ["expcore", "expcore"]
    record = json.loads((tmp_path / "expcore" / "run.json").read_text())
    assert record["plugins"] == started[0].data["plugins"]
