"""What holds of schedules whatever their numbers are and wherever they are stopped, killed or crashed."""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from expcore.cluster import RunConfig
from expcore.errors import StoppedBySignal
from expcore.events import LogReader
from expcore.experiment import Experiment
from expcore.history import due
from expcore.testing import PluginSandbox, VirtualClock
from expcore.testing.numpy_estimator import NumpyEstimator

HOST = PluginSandbox(builtins=True, disable=["plugins/default_hooks"]).host

EXAMPLES = settings(
    max_examples=35, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


class Killed(Exception):
    """Stands for whatever ends a process in the middle."""


class Kill:
    """Ends a run at a step: by a signal, or in the middle of what it does."""

    def __init__(self, experiment, step, kind):
        self.experiment, self.step, self.kind = experiment, step, kind

    def next_step(self, step):
        return step + 1

    def after_steps(self, run):
        run.clock.sleep(1)
        if run.step == self.step and self.kind == "kill":
            raise Killed
        if run.step == self.step and self.kind == "signal":
            self.experiment.interrupt(15)


class Text:
    def write(self, estimator, directory, checkpoint_path=None, eval_result=None):
        Path(directory, "model.txt").write_text(str(eval_result["global_step"]))


class Always:
    """Exports whatever it is offered; comes before the others and can end the process when it is called."""

    def __init__(self, calls, crash_at):
        self.name, self.calls, self.crash_at = "always", calls, crash_at

    def export(self, estimator, export_path, eval_result=None, is_the_final_export=False):
        if eval_result["global_step"] >= self.crash_at:
            raise KeyboardInterrupt
        self.calls.append((eval_result["global_step"], is_the_final_export))
        return os.path.join(export_path, "1")


def stream(n=None):
    """Every batch is another one, so that the state tells which were used and the loss goes up and down."""

    def data():
        i = 0
        while n is None or i < n:
            yield [[float(i * i % 7)]], [float(i * 5 % 11)]
            i += 1

    return data


EVAL = stream(3)


def estimator_in(directory, clock, **config):
    config = RunConfig(model_dir=str(directory), keep_checkpoint_max=0, **config)
    return NumpyEstimator(config=config, clock=clock, learning_rate=0.03)


def state(directory):
    newest = max(Path(directory).glob("ckpt-*.json"), key=lambda path: int(path.stem.split("-")[1]))
    return json.loads(newest.read_text())


def events(directory, *kinds):
    return [e for e in LogReader(str(directory)).read() if e.kind in kinds]


def undisturbed(train_steps, data):
    with tempfile.TemporaryDirectory() as directory:
        estimator_in(directory, VirtualClock()).train(data, max_steps=train_steps)
        return state(directory)


# --- train_and_evaluate ----------------------------------------------------------------------------------


@st.composite
def trainings(draw):
    train_steps = draw(st.integers(1, 30))
    batches = draw(st.one_of(st.none(), st.integers(1, 40)))
    last = train_steps if batches is None else min(train_steps, batches)
    # Where the input ends before train_steps, a restart at its end would begin it anew.
    kinds = ["kill", "signal", "crash"] if last == train_steps else ["kill", "signal"]
    stops = draw(st.lists(st.tuples(st.integers(1, last), st.sampled_from(kinds)), max_size=3))
    if last != train_steps:
        stops = [(step, kind) for step, kind in stops if step < last - 1]
    return {
        "train_steps": train_steps,
        "batches": batches,
        "n": draw(st.one_of(st.none(), st.integers(0, 12))),
        "save": draw(st.one_of(st.none(), st.integers(1, 10))),
        "stops": stops,
    }


def run_to_the_end(directory, case, calls):
    """Starts train_and_evaluate again and again until it comes through; returns it, its result and starts."""
    for starts, (step, kind) in enumerate([*case["stops"], (10**9, "never")], 1):
        clock = VirtualClock()
        config = {"save_checkpoints_steps": case["save"]} if case["save"] else {}
        experiment = Experiment(
            estimator_in(directory, clock, **config),
            stream(case["batches"]),
            EVAL,
            train_steps=case["train_steps"],
            eval_every_n_steps=case["n"],
            export_strategies=[
                Always(calls, step if kind == "crash" else 10**9),
                HOST.create("exporters", "best", format=Text()),
                HOST.create("exporters", "final", format=Text()),
            ],
            plugins=HOST,
            clock=clock,
        )
        experiment.extend_train_hooks([Kill(experiment, step, kind)])
        try:
            return experiment, experiment.train_and_evaluate(), starts
        except (Killed, StoppedBySignal, KeyboardInterrupt):
            assert kind != "never"
    raise AssertionError("it never came through")


@EXAMPLES
@given(trainings())
def test_train_and_evaluate_comes_to_the_same_end_however_it_is_stopped(case):
    with tempfile.TemporaryDirectory() as directory:
        experiment, (result, exports), _ = run_to_the_end(directory, case, [])
        assert state(directory) == undisturbed(case["train_steps"], stream(case["batches"]))
        history = experiment.history
        last = history.evaluations[-1]
        assert (result, last.checkpoint) == (last.metrics, experiment.latest_checkpoint().id)
        assert last.step == state(directory)["step"] <= case["train_steps"]
        ends = history.training_ends
        assert ends[-1].over
        assert ends[-1].step == last.step
        assert Path(exports[2], "model.txt").read_text() == str(last.step)


@EXAMPLES
@given(trainings())
def test_every_checkpoint_is_evaluated_at_most_once_and_where_it_is_due(case):
    with tempfile.TemporaryDirectory() as directory:
        experiment, *_ = run_to_the_end(directory, case, [])
        made = Counter((e.data["checkpoint"], e.data["name"]) for e in events(directory, "evaluated"))
        assert set(made.values()) == {1}

        stopped = {e.data["run"] for e in events(directory, "training_ended") if e.data["reason"] == "signal"}
        run_of = {e.id: e.data["run"] for e in events(directory, "saved")}
        saves = experiment.history.saves
        last_of_run = {run_of[c.id]: c.id for c in saves}
        expected, before, n = [], 0, case["n"]
        for checkpoint in saves:
            cut = run_of[checkpoint.id] in stopped and last_of_run[run_of[checkpoint.id]] == checkpoint.id
            if checkpoint is saves[-1] or (n and not cut and checkpoint.step - before >= n):
                expected.append(checkpoint.step)
                before = checkpoint.step
        assert [e.step for e in experiment.history.evaluations] == expected


@EXAMPLES
@given(trainings())
def test_the_logs_best_is_exported_and_the_last_one_once_as_final(case):
    with tempfile.TemporaryDirectory() as directory:
        calls = []
        experiment, *_ = run_to_the_end(directory, case, calls)
        history = experiment.history
        assert [step for step, final in calls if final] == [history.evaluations[-1].step]
        assert {step for step, _ in calls} == {e.step for e in history.evaluations}, "none was left out"
        best = history.best("loss")
        assert history.exported("best", best.checkpoint)
        losses = {e.checkpoint: e.metrics["loss"] for e in history.evaluations}
        by_step = sorted(history.exports, key=lambda export: export.step)
        exported = [losses[e.checkpoint] for e in by_step if e.exporter == "best"]
        assert exported == sorted(set(exported), reverse=True), "each was the best of its time, and once"
        assert [e.step for e in history.exports if e.exporter == "final"] == [history.evaluations[-1].step]


@EXAMPLES
@given(trainings())
def test_the_log_tells_of_every_start_and_no_end_but_the_last_is_for_good(case):
    with tempfile.TemporaryDirectory() as directory:
        experiment, _, starts = run_to_the_end(directory, case, [])
        assert len(events(directory, "schedule_started")) == starts
        assert len(events(directory, "schedule_ended", "failed")) == starts
        assert len(experiment.history.trainings) <= starts
        assert [t.generation for t in experiment.history.trainings] == list(
            range(1, len(experiment.history.trainings) + 1)
        )
        assert len(experiment.history.training_ends) == len(experiment.history.trainings)


# --- continuous_train_and_evaluate -----------------------------------------------------------------------


@EXAMPLES
@given(
    train_steps=st.integers(1, 40),
    runs=st.lists(st.tuples(st.one_of(st.none(), st.integers(1, 15)), st.integers(0, 4)), max_size=3),
)
def test_continuous_train_and_evaluate_comes_to_the_same_end_in_whatever_iterations(train_steps, runs):
    with tempfile.TemporaryDirectory() as directory:
        steps = []
        for per_iteration, iterations in [*runs, (None, 10**9)]:
            clock = VirtualClock()
            experiment = Experiment(
                estimator_in(directory, clock),
                stream(),
                EVAL,
                train_steps=train_steps,
                train_steps_per_iteration=per_iteration,
                plugins=HOST,
                clock=clock,
            )
            left = [iterations]

            def predicate(result, left=left):
                left[0] -= 1
                return left[0] >= 0

            before = len(experiment.history.evaluations)
            result, _ = experiment.continuous_train_and_evaluate(predicate)
            made = [e.step for e in experiment.history.evaluations][before:]
            n = per_iteration or max(1, train_steps // 10)
            start = steps[-1] if steps else 0
            assert made == [min(start + n * (i + 1), train_steps) for i in range(len(made))]
            assert len(made) <= iterations
            assert result == (experiment.history.evaluations[-1].metrics if made else None)
            steps += made
        assert steps[-1] == train_steps
        assert state(directory) == undisturbed(train_steps, stream())


# --- continuous_eval -------------------------------------------------------------------------------------


class Script(VirtualClock):
    """A virtual clock at which other processes do their deeds at their time."""

    def __init__(self, deeds):
        super().__init__()
        self.deeds = deeds

    def sleep(self, secs):
        until = self.time() + secs
        while self.deeds and self.deeds[0][0] <= until:
            when, deed = self.deeds.pop(0)
            super().sleep(when - self.time())
            deed()
        super().sleep(until - self.time())


def train(directory, steps, save_every, over):
    """Another process trains, and is stopped or comes to its end."""
    clock = VirtualClock()
    experiment = Experiment(
        estimator_in(directory, clock, save_checkpoints_steps=save_every),
        stream(),
        EVAL,
        plugins=PARTS,
        clock=clock,
    )
    if over:
        experiment.train_pass(steps=steps)
        return
    with pytest.raises(StoppedBySignal):
        experiment.run("part", steps=steps)


def part(experiment, steps):
    experiment.train_pass(steps=steps)
    experiment.interrupt(15)
    experiment.wait(1)


PARTS = PluginSandbox().add("schedules", "part", part).host


@settings(EXAMPLES, max_examples=15)
@given(
    parts=st.lists(st.tuples(st.integers(1, 90), st.integers(1, 6)), min_size=1, max_size=5),
    save_every=st.integers(1, 4),
    throttle=st.sampled_from([0, 7, 60]),
    evaluators=st.lists(
        st.tuples(st.sampled_from(["newest", "all"]), st.integers(1, 60)), min_size=0, max_size=3
    ),
    last=st.sampled_from(["newest", "all"]),
)
def test_evaluators_started_again_and_again_evaluate_each_checkpoint_at_most_once(
    parts, save_every, throttle, evaluators, last
):
    with tempfile.TemporaryDirectory() as directory:
        deeds, when = [], 0
        for i, (secs, steps) in enumerate(parts):
            when += secs
            over = i == len(parts) - 1

            def deed(steps=steps, over=over):
                train(directory, steps, save_every, over)

            deeds.append((when, deed))
        clock = Script(deeds)
        total = sum(steps for _, steps in parts)
        begun = []

        class Watched(NumpyEstimator):
            def evaluate(self, input_fn, steps=None, hooks=None, checkpoint_path=None, name=None):
                begun.append(clock.time())
                return super().evaluate(input_fn, steps, hooks, checkpoint_path, name)

        for backlog, timeout in [*evaluators, (last, None)]:
            config = RunConfig(model_dir=directory)
            experiment = Experiment(
                Watched(config=config, clock=clock),
                stream(),
                EVAL,
                train_steps=total,
                continuous_eval_throttle_secs=throttle,
                plugins=HOST,
                clock=clock,
            )
            begun.clear()
            result = experiment.continuous_eval(backlog=backlog, timeout_secs=timeout)
            ended_at = clock.time()
            apart = [b - a for a, b in pairwise(begun) if b < when]
            assert all(secs >= throttle for secs in apart), "but after the end of the training"
            if timeout is None:
                assert result["global_step"] == total
                assert ended_at <= when + throttle + 5
        history = experiment.history
        made = Counter(e.data["checkpoint"] for e in events(directory, "evaluated"))
        assert set(made.values()) == {1}
        assert [e.step for e in history.evaluations][-1] == total
        done = {e.checkpoint for e in history.evaluations} | {s.checkpoint for s in history.skips}
        assert {c.id for c in history.saves} == done, "each is evaluated, or the log says why not"
        if last == "all":
            assert [e.step for e in history.evaluations] == [c.step for c in history.saves]


@given(
    steps=st.lists(st.integers(1, 50), min_size=1, max_size=8),
    n=st.one_of(st.none(), st.integers(0, 20)),
)
def test_due_is_the_rule_that_is_simulated_here(steps, n):
    """The pure rule on a fake history: at least n steps since the last evaluation, or behind it."""

    class Made:
        def __init__(self, step):
            self.step = step

    class Fake:
        trainings = ()
        evaluations = ()

    fake = Fake()
    for step in steps:
        last = fake.evaluations[-1].step if fake.evaluations else 0
        expected = bool(n) and (step - last >= n or step < last)
        assert due(n, fake, step) == expected
        if expected:
            fake.evaluations = (*fake.evaluations, Made(step))
