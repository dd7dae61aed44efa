"""The schedules continuous_eval and continuous_eval_on_train_data, beside a training of another process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from expcore.cluster import RunConfig
from expcore.errors import ExportFailed, InvalidArgument, StoppedBySignal
from expcore.events import EventLog, LogReader
from expcore.experiment import Experiment
from expcore.passes.heartbeat import Heartbeat
from expcore.testing import PluginSandbox, VirtualClock
from expcore.testing.numpy_estimator import NumpyEstimator


class Script(VirtualClock):
    """A virtual clock at which other processes do their deeds at their time; it does not run for ever."""

    def __init__(self, limit=5000):
        super().__init__()
        self.limit, self.deeds = limit, []

    def at(self, secs, deed):
        self.deeds = sorted([*self.deeds, (secs, len(self.deeds), deed)])

    def sleep(self, secs):
        until = self.time() + secs
        while self.deeds and self.deeds[0][0] <= until:
            when, _, deed = self.deeds.pop(0)
            super().sleep(when - self.time())
            deed()
        super().sleep(until - self.time())
        assert self.time() < self.limit, "it waits for ever"


class Watched(NumpyEstimator):
    """Remembers when it evaluated what, and can take its time or do something meanwhile."""

    def __init__(self, *args, clock, **kwargs):
        super().__init__(*args, clock=clock, **kwargs)
        self.clock, self.times, self.meanwhile = clock, [], lambda path: None

    def evaluate(self, input_fn, steps=None, hooks=None, checkpoint_path=None, name=None):
        self.times.append((self.clock.time(), step_of(checkpoint_path), name))
        self.meanwhile(checkpoint_path)
        return super().evaluate(input_fn, steps, hooks, checkpoint_path, name)

    @property
    def steps(self):
        return [step for _, step, _ in self.times]


class Empty(Watched):
    """One whose checkpoints nobody finds."""

    def checkpoints(self):
        return []

    def latest_checkpoint(self):
        return None


class Exporter:
    def __init__(self, error=None):
        self.name, self.calls, self.error = "mine", [], error

    def export(
        self, estimator, export_path, checkpoint_path=None, eval_result=None, is_the_final_export=False
    ):
        self.calls.append((step_of(checkpoint_path), is_the_final_export))
        if self.error:
            raise self.error
        return os.path.join(export_path, str(len(self.calls)))


def step_of(path):
    return int(Path(path).stem.split("-")[1])


def endless():
    while True:
        yield [[1.0]], [1.0]


def part(experiment, steps):
    """Trains some steps and is stopped: an end that is not for good."""
    experiment.train_pass(steps=steps)
    experiment.interrupt(15)
    experiment.wait(1)


@pytest.fixture
def clock():
    return Script()


@pytest.fixture
def box():
    return PluginSandbox(builtins=True, disable=["plugins/default_hooks"]).add("schedules", "part", part)


@pytest.fixture
def trainer(tmp_path, box):
    """A training elsewhere: ``part=n`` makes n steps and is stopped, ``to=n`` trains to step n."""

    def deed(part=None, to=None, save_every=2, steps=None):
        config = RunConfig(model_dir=str(tmp_path), save_checkpoints_steps=save_every, keep_checkpoint_max=0)
        own = VirtualClock()
        experiment = Experiment(
            NumpyEstimator(config=config, clock=own),
            endless,
            endless,
            train_steps=to,
            plugins=box.host,
            clock=own,
        )
        if part is None:
            experiment.train_pass(steps=steps)
            return
        with pytest.raises(StoppedBySignal):
            experiment.run("part", steps=part)

    return deed


@pytest.fixture
def make(tmp_path, clock, box):
    def evaluator(**arguments):
        config = RunConfig(model_dir=str(tmp_path))
        arguments = {
            "train_input_fn": lambda: [([[1.0]], [3.0])],
            "eval_input_fn": lambda: [([[1.0]], [2.0])],
            "continuous_eval_throttle_secs": 0,
        } | arguments
        estimator = arguments.pop("kind", Watched)(config=config, clock=clock)
        return Experiment(estimator, plugins=box.host, clock=clock, **arguments)

    return evaluator


def skips(experiment, what="evaluation"):
    step_of_id = {c.id: c.step for c in experiment.history.saves}
    return [(step_of_id.get(s.checkpoint), s.reason) for s in experiment.history.skips if s.what == what]


# --- which checkpoints -----------------------------------------------------------------------------------


def test_the_newest_checkpoint_is_evaluated_and_those_passed_over_are_recorded(make, trainer, clock):
    trainer(part=6)
    clock.at(10, lambda: trainer(part=6))
    clock.at(20, lambda: trainer(to=14))
    experiment = make()
    result = experiment.continuous_eval()
    assert experiment.estimator.steps == [6, 12, 14]
    assert result == experiment.history.evaluations[-1].metrics
    assert result["global_step"] == 14
    assert skips(experiment) == [(2, "superseded"), (4, "superseded"), (8, "superseded"), (10, "superseded")]


def test_with_the_whole_backlog_every_one_is_evaluated_in_order(make, trainer, clock):
    trainer(part=6)
    clock.at(10, lambda: trainer(part=6))
    clock.at(20, lambda: trainer(to=14))
    experiment = make()
    assert experiment.continuous_eval(backlog="all")["global_step"] == 14
    assert experiment.estimator.steps == [2, 4, 6, 8, 10, 12, 14]
    assert skips(experiment) == []


def test_each_is_evaluated_once_over_restarts_of_the_evaluator(make, trainer, clock):
    trainer(part=4)
    first = make()
    first.continuous_eval(timeout_secs=5)
    second = make()
    clock.at(clock.time() + 3, lambda: trainer(to=8))
    result = second.continuous_eval(backlog="all")
    assert (first.estimator.steps, second.estimator.steps) == ([4], [2, 6, 8])
    third = make(train_steps=8)
    assert third.continuous_eval() == result
    assert third.estimator.steps == []


def test_several_evaluators_share_the_backlog_and_nothing_is_evaluated_twice(make, trainer):
    trainer(to=8)
    first, second = make(train_steps=8), make(train_steps=8)

    def meanwhile(path):
        if step_of(path) == 2:
            second.continuous_eval(backlog="all", continuous_eval_predicate_fn=lambda result: not result)

    first.estimator.meanwhile = meanwhile
    result = first.continuous_eval(backlog="all")
    assert second.estimator.steps == [4], "it does not queue behind the other"
    assert first.estimator.steps == [2, 6, 8]
    assert second.continuous_eval(backlog="all") == result
    assert second.estimator.steps == [4]
    assert "superseded" not in {reason for _, reason in skips(first)}


def test_one_that_another_evaluator_is_at_is_waited_for(make, trainer, clock):
    trainer(to=4)
    first, second = make(train_steps=4), make(train_steps=4)
    results = []

    def meanwhile(path):
        for secs in (3, 9):
            clock.at(clock.time() + secs, lambda: results.append(clock.time()))
        first.estimator.meanwhile = lambda path: None
        second.clock.limit = 100
        with pytest.raises(AssertionError, match="it waits for ever"):
            second.continuous_eval()

    first.estimator.meanwhile = meanwhile
    assert first.evaluate_pass(once=True)
    second.clock.limit = 5000
    assert second.continuous_eval()["global_step"] == 4
    assert second.estimator.steps == []
    assert (4, "claimed") in skips(second)


def test_vanished_and_corrupt_checkpoints_are_skipped_with_the_reason_and_the_rest_goes_on(make, trainer):
    trainer(to=8)
    experiment = make(train_steps=8)
    Path(experiment.model_dir, "ckpt-4.json").write_text("{")
    experiment.estimator.meanwhile = lambda path: Path(path).unlink() if step_of(path) == 6 else None
    experiment.continuous_eval(backlog="all")
    assert experiment.estimator.steps == [2, 4, 6, 8]
    assert [skip for skip in skips(experiment) if skip[0]] == [(4, "corrupt"), (6, "vanished")]
    assert [e.step for e in experiment.history.evaluations] == [2, 8]


def test_one_that_cannot_be_read_is_tried_once_and_others_are_waited_for(make, trainer, clock):
    trainer(part=4)
    experiment = make()
    Path(experiment.model_dir, "ckpt-4.json").write_text("{")
    assert experiment.continuous_eval(timeout_secs=50) is None
    assert experiment.estimator.times == [(0, 4, None)]
    assert (experiment.timed_out, clock.time()) == (True, 50)


def test_an_evaluation_that_gives_no_metrics_is_not_made_again_and_the_schedule_can_end(make, trainer, clock):
    trainer(part=2)
    clock.at(10, lambda: trainer(to=4))
    experiment = make()
    asked = []
    experiment.estimator.evaluate = lambda *_, checkpoint_path, **__: asked.append(step_of(checkpoint_path))
    assert experiment.continuous_eval() is None
    assert asked == [2, 4]


def test_without_once_the_newest_is_evaluated_again_and_again_in_the_throttles_rhythm(make, trainer, clock):
    trainer(part=2)
    experiment = make()
    clock.at(25, lambda: trainer(to=4))
    experiment.continuous_eval(evaluate_checkpoint_only_once=False, throttle_delay_secs=10)
    assert experiment.estimator.times == [(0, 2, None), (10, 2, None), (20, 2, None), (25, 4, None)]


# --- when it ends ----------------------------------------------------------------------------------------


def test_it_ends_where_the_evaluated_step_reaches_train_steps(make, trainer, clock):
    trainer(part=6)
    assert make(train_steps=6).continuous_eval()["global_step"] == 6
    assert clock.time() == 0


def test_it_ends_without_an_end_in_the_log_where_another_evaluated_the_last_step(make, clock):
    make().estimator.train(endless, max_steps=6)
    make().evaluate_pass()
    experiment = make(train_steps=6)
    assert experiment.continuous_eval()["global_step"] == 6
    assert (experiment.estimator.steps, clock.time()) == ([], 0)


def test_it_ends_when_a_training_that_it_saw_begin_ends_and_the_last_checkpoint_is_done(make, trainer, clock):
    clock.at(101, lambda: trainer(to=6))
    experiment = make(train_steps=1000)
    assert experiment.continuous_eval(throttle_delay_secs=30)["global_step"] == 6
    assert experiment.estimator.times == [(105, 6, None)]
    assert clock.time() == 105, "one look every five seconds, and no throttle after the end"


def test_a_training_that_ends_during_the_delay_was_seen(make, trainer, clock):
    clock.at(60, lambda: trainer(to=6))
    assert make(eval_delay_secs=120).continuous_eval()["global_step"] == 6
    assert clock.time() == 120


@pytest.mark.parametrize("beats", [True, False])
def test_a_training_that_was_there_before_ends_it_if_its_heart_was_seen_to_beat(
    make, trainer, tmp_path, clock, beats
):
    trainer(part=2)
    log = EventLog(str(tmp_path), "chief-0", VirtualClock())
    log.append("training_started", run="theirs", generation=2, step=2)
    heart = Heartbeat(str(tmp_path), log.name, "theirs")
    heart.beat(2, "training")
    if beats:
        clock.at(4, lambda: heart.beat(2, "training"))
    clock.at(10, lambda: log.append("training_ended", run="theirs", step=2, reason="enough"))
    experiment = make()
    assert experiment.continuous_eval(timeout_secs=60)["global_step"] == 2
    assert (clock.time(), experiment.timed_out) == ((10, False) if beats else (60, True))


def test_the_end_of_an_older_training_does_not_end_it(make, trainer, clock):
    trainer(to=6)
    experiment = make(train_steps=1000)
    assert experiment.continuous_eval(timeout_secs=300)["global_step"] == 6
    assert experiment.timed_out
    assert clock.time() == 300


def test_the_end_of_an_older_training_that_reached_train_steps_ends_it(make, trainer, clock):
    trainer(to=6)
    experiment = make(train_steps=6)
    assert experiment.continuous_eval(backlog="all")["global_step"] == 6
    assert not experiment.timed_out
    assert clock.time() == 0


def test_a_training_that_was_stopped_by_a_signal_is_waited_for(make, trainer, clock):
    clock.at(10, lambda: trainer(part=2))
    clock.at(2000, lambda: trainer(to=4))
    experiment = make()
    assert experiment.continuous_eval()["global_step"] == 4
    assert [time for time, _, _ in experiment.estimator.times] == [10, 2000]


def test_a_training_without_any_checkpoint_ends_it_too(make, trainer, clock):
    for only_once in (True, False):
        clock.at(clock.time() + 10, lambda: trainer(steps=1, save_every=100))
        experiment = make(kind=Empty)
        assert experiment.continuous_eval(evaluate_checkpoint_only_once=only_once) is None


def test_after_timeout_secs_without_news_the_last_result_is_returned_and_said(make, trainer, clock, caplog):
    trainer(part=2)
    clock.at(80, lambda: trainer(part=2))
    experiment = make(continuous_eval_throttle_secs=60)
    result = experiment.continuous_eval(timeout_secs=90)
    assert experiment.estimator.times == [(0, 2, None), (90, 4, None)]
    assert clock.time() == 180, "90 seconds after the last news"
    assert (result["global_step"], experiment.timed_out) == (4, True)
    assert "for 90 seconds" in caplog.text


def test_without_any_checkpoint_the_timeout_gives_none(make, clock):
    experiment = make(continuous_eval_throttle_secs=60)
    assert experiment.continuous_eval(timeout_secs=7) is None
    assert (experiment.timed_out, clock.time()) == (True, 7), "not rounded up to the throttle"


def test_it_ends_when_the_predicate_says_so(make, trainer, clock):
    for secs in (10, 20, 30, 40):
        clock.at(secs, lambda: trainer(part=2))
    experiment = make()
    asked = []

    def predicate(eval_result, checkpoint_path, history):
        asked.append((eval_result, checkpoint_path and step_of(checkpoint_path), len(history.evaluations)))
        return len(history.evaluations) < 3

    assert experiment.continuous_eval(continuous_eval_predicate_fn=predicate)["global_step"] == 6
    assert asked[0] == (None, None, 0)
    assert asked[1] == ({}, None, 0)
    assert asked[-1] == (experiment.history.evaluations[-1].metrics, 6, 3)
    assert experiment.estimator.steps == [2, 4, 6]


def test_the_predicate_sees_the_last_result_before_the_end(make, trainer):
    trainer(to=2)
    asked = []
    make(train_steps=2).continuous_eval(continuous_eval_predicate_fn=lambda r: asked.append(r) or True)
    assert [result and result["global_step"] for result in asked] == [None, 2]


def test_what_a_predicate_raises_is_raised_with_its_name(make, trainer):
    def sceptic(eval_result):
        raise KeyError

    with pytest.raises(KeyError) as caught:
        make().continuous_eval(continuous_eval_predicate_fn=sceptic)
    assert any("raised by predicate" in note and "sceptic" in note for note in caught.value.__notes__)


# --- waiting ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("takes", "times"), [(0, [0, 60, 120]), (45, [0, 60, 120]), (60, [0, 60, 120]), (75, [0, 75, 150])]
)
def test_evaluations_begin_at_least_the_throttle_apart_and_their_time_counts(
    make, trainer, clock, takes, times
):
    trainer(part=6)
    experiment = make(continuous_eval_throttle_secs=60)
    experiment.estimator.meanwhile = lambda path: clock.sleep(takes)
    experiment.continuous_eval(
        backlog="all", continuous_eval_predicate_fn=lambda _: len(experiment.estimator.steps) < 3
    )
    assert [time for time, _, _ in experiment.estimator.times] == times


def test_an_explicit_throttle_is_taken_and_idle_rounds_are_throttled_as_well(make, trainer, clock):
    asked = []

    def predicate(result):
        asked.append(clock.time())
        return len(asked) < 5

    make(continuous_eval_throttle_secs=60).continuous_eval(
        throttle_delay_secs=7, continuous_eval_predicate_fn=predicate
    )
    assert asked == [0, 7, 14, 21, 28]


def test_the_last_checkpoint_is_evaluated_whatever_the_throttle(make, trainer, clock):
    clock.at(1, lambda: trainer(part=2))
    clock.at(20, lambda: trainer(to=4))
    experiment = make(continuous_eval_throttle_secs=1000)
    assert experiment.continuous_eval(throttle_delay_secs=1000)["global_step"] == 4
    assert experiment.estimator.steps == [4], "there was none at first, and the end cuts the idle wait"
    assert clock.time() <= 25


def test_the_last_checkpoint_does_not_wait_for_the_throttle_after_an_earlier_one(make, trainer, clock):
    trainer(part=2)
    clock.at(20, lambda: trainer(to=4))
    experiment = make()
    experiment.continuous_eval(throttle_delay_secs=1000)
    assert experiment.estimator.times == [(0, 2, None), (20, 4, None)]


@pytest.mark.parametrize(("option", "secs"), [(None, 30), (0, 0), (7, 7)])
def test_the_delay_is_the_experiments_unless_given(make, trainer, clock, option, secs):
    trainer(to=2)
    experiment = make(eval_delay_secs=30, train_steps=2)
    experiment.continuous_eval(delay_secs=option)
    assert experiment.estimator.times == [(secs, 2, None)]


def test_while_it_waits_it_says_for_what_every_ten_minutes(make, trainer, clock, caplog):
    caplog.set_level("INFO")
    clock.at(700, lambda: trainer(part=2))
    make().continuous_eval(timeout_secs=1500)
    texts = [r.message for r in caplog.records if r.name == "expcore_plugins.schedules.following"]
    assert texts.count("there is no checkpoint yet; the evaluation starts when there is one") == 2
    assert sum(text.startswith("no new checkpoint since") for text in texts) == 2


# --- signals ---------------------------------------------------------------------------------------------


def test_a_signal_while_it_waits_ends_it_at_once(make, trainer, clock):
    trainer(part=2)
    exporter = Exporter()
    experiment = make(export_strategies=exporter)
    clock.at(100, lambda: experiment.interrupt(15))
    with pytest.raises(StoppedBySignal):
        experiment.continuous_eval(throttle_delay_secs=60)
    assert clock.time() < 102
    assert exporter.calls == [(2, False)], "the next start is to say what is final"
    last = LogReader(experiment.model_dir).read()[-1]
    assert (last.kind, last.data["signal"]) == ("schedule_ended", 15)


def test_a_signal_during_an_evaluation_ends_it_after_the_record_and_the_export_is_made_good(make, trainer):
    trainer(part=2)
    exporter = Exporter()
    experiment = make(export_strategies=exporter)
    experiment.estimator.meanwhile = lambda path: experiment.interrupt(15)
    with pytest.raises(StoppedBySignal):
        experiment.continuous_eval()
    assert [e.step for e in experiment.history.evaluations] == [2]
    assert exporter.calls == []
    experiment.continuous_eval(timeout_secs=1)
    assert exporter.calls == [(2, False), (2, True)]
    assert experiment.estimator.steps == [2]


# --- exports ---------------------------------------------------------------------------------------------


def test_every_evaluation_is_exported_and_the_last_one_as_final_once(make, trainer, clock):
    trainer(part=2)
    clock.at(10, lambda: trainer(part=2))
    clock.at(20, lambda: trainer(to=6))
    exporter = Exporter()
    make(export_strategies=exporter).continuous_eval()
    assert exporter.calls == [(2, False), (4, False), (6, True)]


def test_where_the_step_tells_it_is_the_last_one_it_is_final_at_once(make, trainer):
    trainer(part=6)
    exporter = Exporter()
    make(export_strategies=exporter, train_steps=6).continuous_eval(backlog="all")
    assert exporter.calls == [(2, False), (4, False), (6, True)]


def test_where_the_end_comes_later_the_last_one_is_exported_again_as_final(make, trainer, clock):
    for ends in (
        {"continuous_eval_predicate_fn": lambda result: result is None},
        {"timeout_secs": 3},
    ):
        trainer(part=2)
        exporter = Exporter()
        experiment = make(export_strategies=exporter)
        step = experiment.latest_checkpoint().step
        experiment.continuous_eval(**ends)
        assert exporter.calls == [(step, False), (step, True)]


def test_one_that_is_gone_by_then_is_not_exported_as_final(make, trainer):
    trainer(part=2)
    exporter = Exporter()
    experiment = make(export_strategies=exporter)

    def predicate(result):
        if result:
            Path(experiment.latest_checkpoint().path).unlink()
        return not result

    experiment.continuous_eval(continuous_eval_predicate_fn=predicate)
    assert exporter.calls == [(2, False)]


def test_nothing_evaluated_is_nothing_exported(make):
    exporter = Exporter()
    assert make(export_strategies=exporter).continuous_eval(timeout_secs=0) is None
    assert exporter.calls == []


def test_a_failing_exporter_does_not_end_it_and_is_raised_at_its_end(make, trainer):
    trainer(part=6)
    exporter = Exporter(KeyError("on fire"))
    experiment = make(export_strategies=exporter, train_steps=6)
    with pytest.raises(ExportFailed, match="exporter 'mine'"):
        experiment.continuous_eval(backlog="all")
    assert experiment.estimator.steps == [2, 4, 6]
    assert skips(experiment, "export") == [(2, "failed"), (4, "failed"), (6, "failed")]


# --- names, sets and wrong options -----------------------------------------------------------------------


@pytest.mark.parametrize(("given", "name"), [(None, None), ("", None), ("dev", "dev")])
def test_a_name_goes_to_the_estimator_and_evaluations_of_another_name_do_not_count(
    make, trainer, given, name
):
    trainer(to=2)
    make().evaluate_pass(name="other")
    experiment = make(train_steps=2)
    experiment.continuous_eval(name=given)
    assert [n for _, _, n in experiment.estimator.times] == [name]
    assert make(train_steps=2).continuous_eval(name=given)["global_step"] == 2
    assert len([e for e in LogReader(experiment.model_dir).read() if e.kind == "evaluated"]) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backlog": "some"}, "backlog is 'some'; it must be 'newest' or 'all'"),
        ({"backlog": "all", "evaluate_checkpoint_only_once": False}, "never come to the second"),
        ({"throttle_delay_secs": -1}, "`throttle_delay_secs` must be seconds"),
        ({"timeout_secs": "1"}, "`timeout_secs` must be seconds"),
        ({"delay_secs": -2}, "`delay_secs` must be seconds"),
        ({"continuous_eval_predicate_fn": 3}, "must be a callable, or None"),
    ],
)
def test_wrong_options_are_told_before_anything_is_waited_for(make, clock, options, message):
    with pytest.raises(InvalidArgument, match=message):
        make(eval_delay_secs=10).continuous_eval(**options)
    assert clock.time() == 0


def test_a_name_together_with_a_mapping_is_told_before_anything_is_waited_for(make, clock, trainer):
    experiment = make(eval_delay_secs=10, eval_input_fn={"a": endless, "b": endless})
    with pytest.raises(InvalidArgument, match="eval_input_fn is a mapping"):
        experiment.continuous_eval(name="x")
    assert clock.time() == 0
    trainer(to=2)
    make(train_steps=2).continuous_eval_on_train_data(name="x")


# --- on the training data --------------------------------------------------------------------------------


def test_on_train_data_each_newest_checkpoint_is_evaluated_once_and_nothing_is_exported(make, trainer, clock):
    trainer(part=2)
    clock.at(10, lambda: trainer(to=4))
    exporter = Exporter()
    experiment = make(export_strategies=exporter)
    result = experiment.continuous_eval_on_train_data()
    assert exporter.calls == []
    assert [(step, name) for _, step, name in experiment.estimator.times] == [
        (2, "on_train_data"),
        (4, "on_train_data"),
    ]
    assert experiment.history.evaluations == ()
    assert [e.metrics for e in experiment.history.train_evaluations][-1] == result
    again = make(train_steps=4)
    assert again.continuous_eval_on_train_data() == result
    assert again.estimator.steps == []
    assert again.continuous_eval()["loss"] != result["loss"], "the evaluation data are another matter"


def test_on_train_data_it_ends_by_predicate_timeout_and_train_steps(make, trainer, clock):
    trainer(part=2)
    experiment = make()
    experiment.continuous_eval_on_train_data(continuous_eval_predicate_fn=lambda r: not r)
    assert experiment.continuous_eval_on_train_data(timeout_secs=9)["global_step"] == 2
    assert (experiment.timed_out, clock.time()) == (True, 9)
    make(train_steps=2).continuous_eval_on_train_data(throttle_delay_secs=100)
    assert clock.time() == 9


def test_on_train_data_missed_exports_are_not_made_good(make, trainer):
    trainer(to=2)
    exporter = Exporter()
    experiment = make(export_strategies=exporter)
    experiment.evaluate()
    experiment.continuous_eval_on_train_data(timeout_secs=1)
    assert exporter.calls == []
