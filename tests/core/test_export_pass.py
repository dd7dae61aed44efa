"""The export pass: every exporter is offered the checkpoint, what each did is recorded, errors wait."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from expcore.cluster import RunConfig
from expcore.errors import ExportFailed, PluginError
from expcore.events import LogReader
from expcore.experiment import Experiment
from expcore.hookspecs import hookimpl
from expcore.pins import Pins
from expcore.publish import ExportStrategy
from expcore.testing import PluginSandbox, VirtualClock
from expcore.testing.numpy_estimator import NumpyEstimator


class Text:
    """A format of one small file; fails while it is told to."""

    broken = False

    def write(self, estimator, directory, checkpoint_path=None, eval_result=None):
        if self.broken:
            raise KeyError("disk on fire")
        Path(directory, "model.txt").write_text(f"{checkpoint_path} {eval_result}")


class Exporter:
    """Publishes by itself, and counts."""

    def __init__(self, name="mine", answer="path", error=None):
        self.name, self.answer, self.error, self.calls = name, answer, error, []

    def export(
        self,
        estimator,
        export_path,
        checkpoint_path=None,
        eval_result=None,
        is_the_final_export=False,
        history=None,
    ):
        self.calls.append(
            {
                "estimator": estimator,
                "export_path": export_path,
                "step": int(Path(checkpoint_path).stem.split("-")[1]) if checkpoint_path else None,
                "eval_result": eval_result,
                "final": is_the_final_export,
                "history": history,
            }
        )
        if self.error:
            raise self.error
        return os.path.join(export_path, str(len(self.calls))) if self.answer == "path" else self.answer


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def box():
    return PluginSandbox(builtins=True, disable=["plugins/default_hooks"])


@pytest.fixture
def make(tmp_path, clock, box):
    def experiment(*exporters, **arguments):
        def losses():  # worse and worse, so that the first checkpoint is the best
            return [([[0.0]], [float(10 * n)]) for n in range(1, 200)]

        config = RunConfig(model_dir=str(tmp_path), save_checkpoints_steps=2, keep_checkpoint_max=0)
        estimator = NumpyEstimator(config=config, learning_rate=0.9, clock=clock)
        arguments = {"train_input_fn": losses, "eval_input_fn": lambda: [([[0.0]], [0.0])]} | arguments
        return Experiment(estimator, export_strategies=exporters, plugins=box.host, clock=clock, **arguments)

    return experiment


@pytest.fixture
def best(box):
    def policy(kind="best", **options):
        fmt = Text()
        return fmt, box.host.create("exporters", kind, format=fmt, **options)

    return policy


def trained(make, *exporters, steps=6, **arguments):
    make(train_steps=steps).train_pass()
    return make(*exporters, **arguments)


def records(experiment, *kinds):
    return [e.data for e in LogReader(experiment.model_dir).read() if e.kind in kinds]


# --- what exporters are given and what is recorded -------------------------------------------------------


def test_every_exporter_is_offered_the_checkpoint_in_order_with_all_that_it_names(make):
    order = []
    mine = Exporter()

    def export_fn(estimator, export_path):
        order.append(len(mine.calls))
        return "somewhere"

    experiment = trained(make, mine, ExportStrategy("plain", export_fn))
    result = {"loss": 1.0, "global_step": 4}
    path = str(Path(experiment.model_dir, "ckpt-4.json"))
    base = str(Path(experiment.model_dir, "export", "mine"))
    assert experiment.export_pass(result, path, final=True) == [f"{base}/1", "somewhere"]
    (call,) = mine.calls
    assert order == [1]
    assert call["estimator"] is experiment.estimator
    assert (call["export_path"], call["step"], call["eval_result"]) == (base, 4, result)
    assert call["final"] is True
    assert (call["history"].checkpoint.step, len(call["history"].saves)) == (4, 3)


def test_without_a_path_it_is_the_latest_checkpoint_and_without_exporters_nothing(make):
    mine = Exporter()
    experiment = trained(make, mine)
    experiment.export_pass({})
    assert [(call["step"], call["final"]) for call in mine.calls] == [(6, False)]
    assert trained(make).export_pass({}) == []


def test_without_any_checkpoint_exporters_are_asked_all_the_same(make):
    mine = Exporter()
    assert make(mine).export_pass({"loss": 1.0}) == [mine.calls[0]["export_path"] + "/1"]
    assert mine.calls[0]["step"] is None


@pytest.mark.parametrize(
    ("answer", "path", "inside"),
    [
        (b"/elsewhere/7", "/elsewhere/7", False),
        (Path("/elsewhere/7"), "/elsewhere/7", False),
        ("path", "export/mine/1", True),
    ],
)
def test_an_export_is_recorded_with_its_path_inside_or_outside_of_the_directory(make, answer, path, inside):
    experiment = trained(make, Exporter(answer=answer))
    (written,) = experiment.export_pass({}, final=True)
    assert written == (path if not inside else str(Path(experiment.model_dir, path)))
    (event,) = records(experiment, "exported")
    checkpoint = experiment.history.saves[-1]
    assert dict(event) == {
        "exporter": "mine",
        "checkpoint": checkpoint.id,
        "step": 6,
        "path": path,
        "inside": inside,
        "final": True,
    }
    assert experiment.history.exports[0].path == written


@pytest.mark.parametrize("nothing", [None, "", b""])
def test_one_that_declines_is_recorded_once_and_what_it_wrote_before_is_the_result(make, nothing):
    mine = Exporter(answer=nothing)
    experiment = trained(make, mine)
    assert experiment.export_pass({}) == experiment.export_pass({}) == [None]
    (skip,) = experiment.history.skips
    assert (skip.what, skip.subject, skip.reason) == ("export", "mine", "not-wanted")
    assert skip.detail.endswith("Exporter declined")
    mine.answer = "path"
    (written,) = experiment.export_pass({})
    mine.answer = nothing
    assert experiment.export_pass({}) == [written]
    assert experiment.export_pass({}, str(Path(experiment.model_dir, "ckpt-2.json"))) == [None]


# --- failures --------------------------------------------------------------------------------------------


def test_one_that_fails_keeps_no_other_from_running_and_is_raised_at_the_end(make):
    broken, mine = Exporter("broken", error=KeyError("on fire")), Exporter()
    experiment = trained(make, broken, mine)
    with pytest.raises(ExportFailed, match=r"KeyError: 'on fire' \(exporter 'broken'\)") as caught:
        experiment.export_pass({})
    assert caught.value.__cause__ is broken.error
    assert len(mine.calls) == 1
    (skip,) = experiment.history.skips
    assert (skip.subject, skip.reason, skip.detail) == ("broken", "failed", "KeyError: 'on fire'")


def test_within_a_schedule_training_goes_on_and_all_failures_are_raised_together_at_its_end(make, tmp_path):
    broken, worse = Exporter("broken", error=KeyError("a")), Exporter("worse", error=ValueError("b"))
    mine = Exporter()
    experiment = make(broken, mine, worse, train_steps=4)
    with pytest.raises(ExportFailed, match=r"exporter 'broken'.*exporter 'worse'") as caught:
        experiment.train_and_evaluate()
    assert [call["step"] for call in mine.calls] == [2, 4]
    assert isinstance(caught.value.__cause__, ExceptionGroup)
    assert set(caught.value.__cause__.exceptions) == {broken.error, worse.error}
    (end,) = experiment.history.training_ends
    assert (end.step, end.reason, end.over) == (4, "max_steps", True)
    kinds = [e.kind for e in LogReader(str(tmp_path)).read()]
    assert kinds[-3:] == ["training_ended", "schedule_ended", "failed"]


def test_a_failed_run_that_ends_otherwise_tells_of_failed_exports_too(make, box):
    def schedule(experiment):
        experiment.export_pass({})
        raise ValueError("something else")

    box.add("schedules", "mixed", schedule)
    experiment = trained(make, Exporter(error=KeyError("on fire")))
    with pytest.raises(ValueError, match="something else") as caught:
        experiment.run("mixed")
    assert any("before that: KeyError: 'on fire'" in note for note in caught.value.__notes__)
    assert experiment.evaluate(), "it is told once, not again at the end of the next schedule"


def test_what_is_no_exception_of_an_exporter_is_not_kept_for_later(make):
    experiment = trained(make, Exporter(error=KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        experiment.export_pass({})


def test_plugins_are_told_before_and_after_and_a_veto_is_a_failure_of_that_export_only(make, box):
    told = []

    class Plugin:
        @hookimpl
        def expcore_before_export(self, experiment, exporter, checkpoint):
            told.append(("before", exporter.name, checkpoint.step))
            if exporter.name == "secret":
                raise PermissionError("not this one")

        @hookimpl
        def expcore_after_export(self, experiment, export):
            told.append(
                ("after", export.exporter, export.step, export.final, len(experiment.history.exports))
            )

    box.observe(Plugin)
    secret, mine = Exporter("secret"), Exporter()
    experiment = trained(make, secret, mine, Exporter("shy", answer=None))
    with pytest.raises(ExportFailed, match="not this one"):
        experiment.export_pass({}, final=True)
    assert told == [
        ("before", "secret", 6),
        ("before", "mine", 6),
        ("after", "mine", 6, True, 1),
        ("before", "shy", 6),
    ]
    assert secret.calls == []


def test_observers_of_exports_that_fail_are_raised_at_the_end(make, box):
    class Plugin:
        @hookimpl
        def expcore_after_export(self, experiment, export):
            raise KeyError(export.exporter)

    box.observe(Plugin)
    mine = Exporter()
    experiment = trained(make, mine, Exporter("other"))
    with pytest.raises(PluginError, match=r"KeyError: 'mine'.*KeyError: 'other'"):
        experiment.export_pass({})
    assert len(experiment.history.exports) == 2


# --- pins ------------------------------------------------------------------------------------------------


def test_a_checkpoint_is_pinned_while_it_is_exported_and_not_where_nobody_exports(make, monkeypatch):
    seen = []

    def export_fn(estimator, export_path):
        seen.append(Pins(estimator.model_dir, VirtualClock()).checkpoints())
        return "somewhere"

    experiment = trained(make, ExportStrategy("one", export_fn), ExportStrategy("other", export_fn))
    experiment.export_pass({}, str(Path(experiment.model_dir, "ckpt-4.json")))
    experiment.evaluate_pass()
    experiment.export_missed()
    assert seen == [{"ckpt-4.json"}] * 2 + [{"ckpt-6.json"}] * 2
    assert Pins(experiment.model_dir, VirtualClock()).checkpoints() == set()

    def refuse(*_):
        raise AssertionError("there is nothing to read it for")

    monkeypatch.setattr("expcore.passes.export_pass.pinned", refuse)
    assert trained(make).export_pass({}) == []


def test_an_exporter_that_fails_leaves_no_pin(make):
    experiment = trained(make, Exporter(error=KeyError("on fire")))
    with pytest.raises(ExportFailed):
        experiment.export_pass({})
    assert Pins(experiment.model_dir, VirtualClock()).checkpoints() == set()


def test_where_nothing_can_be_pinned_the_exports_are_made_all_the_same(make, caplog):
    mine = Exporter()
    experiment = trained(make, mine)
    Path(experiment.model_dir, "expcore", "pins").write_text("in the way")
    assert experiment.export_pass({}) == [mine.calls[0]["export_path"] + "/1"]
    assert caplog.text.count("is not pinned while it is read") == 1


# --- what was missed -------------------------------------------------------------------------------------


def test_a_best_checkpoint_whose_export_a_crash_prevented_is_exported_at_the_next_start(make, best):
    class Crash:
        """Raises between an evaluation and its exports."""

        @hookimpl
        def expcore_after_evaluate(self, experiment, evaluation):
            if not crashed:
                crashed.append(evaluation.step)
                raise KeyboardInterrupt

    crashed = []
    box = PluginSandbox(builtins=True, disable=["plugins/default_hooks"])
    _, policy = best()
    experiment = make(policy, train_steps=8)
    watched = Experiment(
        experiment.estimator,
        experiment.train_input_fn,
        experiment.eval_input_fn,
        train_steps=8,
        export_strategies=policy,
        plugins=box.observe(Crash).host,
        clock=experiment.clock,
    )
    with pytest.raises(KeyboardInterrupt):
        watched.train_and_evaluate()
    assert crashed == [2]
    assert experiment.history.exports == ()

    again = make(policy, train_steps=8)
    again.train_and_evaluate()
    results = {e.step: e.metrics["loss"] for e in again.history.evaluations}
    assert min(results, key=results.get) == 2, "training makes it worse and worse"
    assert [e.step for e in again.history.exports] == [2]
    again.export_missed()
    assert [e.step for e in again.history.exports] == [2]


def test_what_an_exporter_failed_for_is_exported_at_the_next_start(make, best):
    text, policy = best()
    text.broken = True
    with pytest.raises(ExportFailed):
        make(policy, train_steps=6).train_and_evaluate()
    text.broken = False
    other = Exporter("other")
    again = make(policy, other, train_steps=8)
    again.train_and_evaluate()
    assert [e.step for e in again.history.exports if e.exporter == "best"] == [2]
    assert [call["step"] for call in other.calls] == [6, 8], "the failure was not its own"


def test_one_that_has_exported_a_later_checkpoint_is_not_asked_for_an_older_one(make, best):
    text, policy = best("latest")
    make(train_steps=6).train_pass()
    experiment = make(policy)
    paths = [str(Path(experiment.model_dir, f"ckpt-{step}.json")) for step in (2, 4, 6)]
    for path in paths:
        experiment.evaluate_pass(path)
    text.broken = True
    with pytest.raises(ExportFailed):
        experiment.export_pass({}, paths[0])
    text.broken = False
    experiment.export_pass({}, paths[1])
    text.broken = True
    with pytest.raises(ExportFailed):
        experiment.export_pass({}, paths[2])
    text.broken = False
    experiment.export_missed()
    assert [e.step for e in experiment.history.exports] == [4, 6], "the newest version is the newest model"


def test_what_is_gone_declined_or_comes_as_the_final_one_is_not_offered_again(make):
    mine = Exporter(answer=None)
    make(train_steps=6).train_pass()
    experiment = make(mine)
    for step in (2, 4, 6):
        experiment.evaluate_pass(str(Path(experiment.model_dir, f"ckpt-{step}.json")))
    final = make(mine, train_steps=6)
    final.export_missed()
    assert mine.calls == []
    experiment.export_missed()
    assert [call["step"] for call in mine.calls] == [6], "the last evaluated one"
    experiment.export_missed()
    assert len(mine.calls) == 1
    mine.error = KeyError()
    with pytest.raises(ExportFailed):
        experiment.export_pass({}, str(Path(experiment.model_dir, "ckpt-4.json")))
    Path(experiment.model_dir, "ckpt-4.json").unlink()
    experiment.export_missed()
    assert len(mine.calls) == 2


def test_without_exporters_nothing_is_looked_up(make):
    experiment = make()
    experiment.estimator.checkpoints = None
    experiment.estimator.latest_checkpoint = None
    experiment.export_missed()
    assert experiment.history.skips == ()
