"""The evaluate pass: one checkpoint on every set, recorded, once where asked."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from expcore.cluster import RunConfig
from expcore.errors import InvalidArgument, InvalidHook, InvalidType, NotTrained, StoppedBySignal
from expcore.events import LogReader
from expcore.experiment import Experiment
from expcore.hookspecs import hookimpl
from expcore.pins import Pins
from expcore.testing import PluginSandbox, VirtualClock
from expcore.testing.numpy_estimator import NumpyEstimator


class Hook:
    def end(self, run):
        pass


class Spy(NumpyEstimator):
    """Remembers how it was asked to evaluate, and what it held restored then."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.asked, self.held, self.contexts = [], None, []
        self.before = lambda path: None

    def evaluate(self, input_fn, steps=None, hooks=None, checkpoint_path=None, name=None):
        self.asked.append(
            {"name": name, "steps": steps, "path": checkpoint_path, "hooks": hooks, "held": self.held}
        )
        self.before(checkpoint_path)
        return super().evaluate(input_fn, steps, hooks, checkpoint_path, name)

    @contextmanager
    def restored(self, checkpoint_path=None):
        self.contexts.append(checkpoint_path)
        self.held = checkpoint_path
        yield
        self.held = None


def data(value):
    return lambda: [([[1.0]], [float(value)])] * 20


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def box():
    return PluginSandbox(builtins=True, disable=["plugins/default_hooks"])


@pytest.fixture
def make(tmp_path, clock, box):
    def experiment(kind=Spy, **arguments):
        config = RunConfig(model_dir=str(tmp_path), save_checkpoints_steps=2, keep_checkpoint_max=0)
        arguments = {"train_input_fn": data(1), "eval_input_fn": data(2)} | arguments
        return Experiment(kind(config=config, clock=clock), plugins=box.host, clock=clock, **arguments)

    return experiment


@pytest.fixture
def trained(make):
    """Three checkpoints, of steps 2, 4 and 6, and another experiment that is to evaluate them."""
    make(train_steps=6).train_pass()

    def experiment(**arguments):
        return make(**arguments)

    return experiment


def path_of(experiment, step):
    return str(Path(experiment.model_dir, f"ckpt-{step}.json"))


def skips(experiment):
    step_of = {c.id: c.step for c in experiment.history.saves}
    return [(s.what, s.subject, step_of.get(s.checkpoint), s.reason) for s in experiment.history.skips]


# --- what is evaluated and recorded ----------------------------------------------------------------------


def test_the_latest_checkpoint_or_a_given_one_is_evaluated_and_recorded(trained, tmp_path, clock):
    experiment = trained()
    experiment.estimator.before = lambda path: clock.sleep(3)
    latest = experiment.evaluate_pass()
    assert latest["global_step"] == 6
    assert experiment.evaluate_pass(path_of(experiment, 2))["global_step"] == 2
    assert [call["path"] for call in experiment.estimator.asked] == [
        path_of(experiment, 6),
        path_of(experiment, 2),
    ]
    assert [e.step for e in experiment.history.evaluations] == [2, 6], "in the order of the saves"
    event = next(e for e in LogReader(str(tmp_path)).read() if e.kind == "evaluated")
    assert dict(event.data) == {
        "checkpoint": experiment.history.saves[-1].id,
        "step": 6,
        "metrics": latest,
        "name": None,
        "source": "eval",
        "secs": 3,
    }


def test_without_a_checkpoint_it_is_left_to_the_estimator(make):
    with pytest.raises(NotTrained):
        make().evaluate_pass()

    class Fresh(Spy):
        def evaluate(self, *args, **kwargs):
            return {"loss": 1.0}

    experiment = make(Fresh)
    assert experiment.evaluate_pass(once=True) == {"loss": 1.0, "global_step": 0}
    (evaluation,) = experiment.history.evaluations
    assert (evaluation.checkpoint, evaluation.step) == (None, 0)


def test_steps_are_the_experiments_unless_given(trained):
    experiment = trained(eval_steps=7)
    experiment.evaluate_pass()
    experiment.evaluate_pass(steps=3)
    experiment.evaluate_pass(steps=None)
    assert [call["steps"] for call in experiment.estimator.asked] == [7, 3, None]


@pytest.mark.parametrize(("given", "name"), [(None, None), ("", None), ("mine", "mine")])
def test_a_name_goes_to_the_estimator_and_the_log(trained, given, name):
    experiment = trained()
    experiment.evaluate_pass(name=given)
    assert experiment.estimator.asked[0]["name"] == name
    assert experiment.history.evaluations[0].name == name


@pytest.mark.parametrize(("given", "name"), [(None, "on_train_data"), ("mine", "mine")])
def test_an_evaluation_on_the_training_data_has_its_own_place_and_source(trained, given, name):
    experiment = trained()
    train = experiment.evaluate_pass(name=given, on_train_data=True)
    plain = experiment.evaluate_pass()
    assert train["loss"] != plain["loss"]
    assert [call["name"] for call in experiment.estimator.asked] == [name, None]
    (evaluation,) = experiment.history.train_evaluations
    assert (evaluation.name, evaluation.source, evaluation.metrics) == (given, "train", train)
    assert [e.metrics for e in experiment.history.evaluations] == [plain]


def test_metrics_become_plain_values_and_the_step_is_the_checkpoints_where_the_result_lacks_it(trained):
    experiment = trained()
    experiment.estimator.evaluate = lambda *_, **__: {
        "loss": np.float32(0.5),
        "counts": np.array([1, 2]),
        "nan": float("nan"),
    }
    result = experiment.evaluate_pass(path_of(experiment, 4))
    assert (result["loss"], result["counts"], result["global_step"]) == (0.5, [1, 2], 4)
    assert type(result["loss"]) is float
    kept = experiment.history.evaluations[0].metrics
    assert kept["nan"] != kept["nan"]


@pytest.mark.parametrize("nothing", [None, {}])
def test_an_evaluation_without_metrics_is_an_empty_result_and_not_recorded(trained, nothing, caplog):
    experiment = trained()
    experiment.estimator.evaluate = lambda *_, **__: nothing
    assert experiment.evaluate_pass() == {}
    assert experiment.evaluate_pass(once=True) == {}
    assert experiment.history.evaluations == ()
    assert "gave no metrics" in caplog.text


def test_a_result_that_is_no_mapping_is_an_error(trained):
    experiment = trained()
    experiment.estimator.evaluate = lambda *_, **__: [0.5]
    with pytest.raises(InvalidType, match="returned list; it must be a mapping of metrics"):
        experiment.evaluate_pass()


# --- several sets ----------------------------------------------------------------------------------------


def test_every_set_of_a_mapping_is_evaluated_on_one_restored_checkpoint(trained):
    experiment = trained(eval_input_fn={"test": data(2), "hard": data(3), "train": data(1)})
    result = experiment.evaluate_pass(path_of(experiment, 4))
    estimator, path = experiment.estimator, path_of(experiment, 4)
    assert [(c["name"], c["path"], c["held"]) for c in estimator.asked] == [
        (None, path, path),
        ("hard", path, path),
        ("train", path, path),
    ]
    assert (estimator.contexts, estimator.held) == ([path], None)
    assert set(result) == {"loss", "global_step", "test/loss", "hard/loss", "train/loss"}
    assert result["loss"] == result["test/loss"] != result["hard/loss"]
    assert result["global_step"] == 4
    (evaluation,) = experiment.history.evaluations
    assert evaluation.metrics == result


def test_one_set_needs_no_restored_checkpoint_and_a_named_one_has_both_names(trained):
    experiment = trained(eval_input_fn={"test": data(2)})
    result = experiment.evaluate_pass()
    assert experiment.estimator.contexts == []
    assert set(result) == {"loss", "test/loss", "global_step"}
    plain = trained()
    assert set(plain.evaluate_pass()) == {"loss", "global_step"}


def test_an_estimator_that_cannot_hold_a_checkpoint_evaluates_every_set_by_its_path(trained):
    experiment = trained(eval_input_fn={"a": data(2), "b": data(3)})
    experiment.estimator.restored = None
    assert {"a/loss", "b/loss"} < set(experiment.evaluate_pass())


def test_a_name_together_with_a_mapping_is_refused(trained):
    experiment = trained(eval_input_fn={"a": data(2), "b": data(3)})
    with pytest.raises(InvalidArgument, match="name='x': eval_input_fn is a mapping, whose names 'a', 'b'"):
        experiment.evaluate_pass(name="x")
    assert experiment.estimator.asked == []
    assert experiment.evaluate_pass(name="x", on_train_data=True)
    assert experiment.evaluate_pass(name="")


# --- hooks and plugins -----------------------------------------------------------------------------------


def test_hooks_of_the_evaluation_are_the_added_ones_and_then_the_users(trained, box):
    added, mine = Hook(), Hook()

    class Plugin:
        @hookimpl
        def expcore_eval_hooks(self, experiment):
            return [added, object()]

    box.observe(Plugin)
    experiment = trained(eval_hooks=[mine])
    experiment.evaluate_pass()
    assert experiment.estimator.asked[0]["hooks"] == [added, mine]
    experiment.estimator.supports_hook = None
    experiment.evaluate_pass()
    assert experiment.estimator.asked[1]["hooks"] == [mine]


def test_a_hook_that_the_estimator_refuses_is_told_before_the_evaluation(trained):
    experiment = trained(eval_hooks=[object()])
    with pytest.raises(InvalidHook):
        experiment.evaluate_pass()
    assert experiment.estimator.asked == []


def test_plugins_are_told_before_and_after_and_one_before_can_object(trained, box):
    told = []

    class Plugin:
        @hookimpl
        def expcore_before_evaluate(self, experiment, checkpoint):
            told.append(("before", checkpoint.step, len(experiment.history.evaluations)))
            if len(told) > 2:
                raise KeyError("veto")

        @hookimpl
        def expcore_after_evaluate(self, experiment, evaluation):
            told.append(("after", evaluation.step, len(experiment.history.evaluations)))

    box.observe(Plugin)
    experiment = trained()
    result = experiment.evaluate_pass()
    assert told == [("before", 6, 0), ("after", 6, 1)]
    with pytest.raises(KeyError, match="veto"):
        experiment.evaluate_pass()
    assert len(experiment.estimator.asked) == 1
    assert experiment.history.evaluations[0].metrics == result


# --- once ------------------------------------------------------------------------------------------------


def test_once_a_checkpoint_is_evaluated_only_once_for_each_name_and_data(trained):
    first, second = trained(), trained()
    assert first.evaluate_pass(once=True)
    assert first.evaluate_pass(once=True) is None
    assert second.evaluate_pass(once=True) is None
    assert second.evaluate_pass(once=True, name="other")
    assert second.evaluate_pass(once=True, on_train_data=True)
    assert first.evaluate_pass(once=True, on_train_data=True) is None
    assert second.evaluate_pass(path_of(second, 2), once=True)
    assert len(first.estimator.asked) + len(second.estimator.asked) == 4


def test_without_once_it_is_evaluated_again_and_the_first_result_counts(trained):
    experiment = trained()
    first = experiment.evaluate_pass()
    experiment.estimator.evaluate = lambda *_, **__: {"loss": -1.0, "global_step": 6}
    assert experiment.evaluate_pass()["loss"] == -1
    assert [e.metrics for e in experiment.history.evaluations] == [first]


def test_while_another_evaluator_is_at_it_it_is_left_alone_and_the_log_says_so(trained):
    first, second = trained(), trained()
    seen = []
    first.estimator.before = lambda path: seen.append(second.evaluate_pass(once=True))
    assert first.evaluate_pass(once=True)
    assert seen == [None]
    assert second.estimator.asked == []
    assert ("evaluation", None, 6, "claimed") in skips(second)
    assert second.evaluate_pass(once=True) is None, "now it is evaluated"


def test_after_an_error_the_claim_is_given_back(trained):
    experiment, other = trained(), trained()

    def burst(path):
        raise KeyError("a fault of the model")

    experiment.estimator.before = burst
    with pytest.raises(KeyError):
        experiment.evaluate_pass(once=True)
    assert other.evaluate_pass(once=True)
    assert not list(Path(other.model_dir, "expcore", "claims").glob("*.json"))


def test_checkpoints_that_were_passed_over_are_recorded_as_superseded_once(trained):
    experiment = trained()
    experiment.evaluate_pass(once=True)
    assert skips(experiment) == [("evaluation", None, 2, "superseded"), ("evaluation", None, 4, "superseded")]
    assert experiment.history.skips[0].detail == "step 6 was the newest"
    trained().evaluate_pass(once=True, name="other")
    trained().evaluate_pass(once=True, on_train_data=True)
    found = skips(experiment)
    assert len(found) == len(set(found)) == 6
    assert {subject for _, subject, _, _ in found} == {None, "other", "on_train_data"}


def test_one_that_another_evaluator_is_at_is_not_superseded(trained):
    first, second = trained(), trained()
    first.estimator.before = lambda path: second.evaluate_pass(once=True)
    first.evaluate_pass(path_of(first, 4), once=True)
    assert [e.step for e in first.history.evaluations] == [4, 6]
    assert skips(first) == [("evaluation", None, 2, "superseded")]


def test_a_checkpoint_that_vanishes_under_the_evaluator_is_skipped_with_the_reason(trained):
    experiment = trained()
    experiment.estimator.before = lambda path: Path(path).unlink(missing_ok=True)
    assert experiment.evaluate_pass(once=True) is None
    assert skips(experiment) == [("evaluation", None, 6, "vanished")]
    assert "it cannot be read" in experiment.history.skips[0].detail
    assert experiment.evaluate_pass(path_of(experiment, 4), once=True) is None
    experiment.estimator.before = lambda path: None
    assert experiment.evaluate_pass(path_of(experiment, 2), once=True)


def test_one_that_vanished_before_it_was_looked_at_is_vanished_too(trained):
    experiment = trained()
    path = path_of(experiment, 4)
    Path(path).unlink()

    def gone(path):
        raise FileNotFoundError(path)

    experiment.estimator.before = gone
    assert experiment.evaluate_pass(path, once=True) is None
    assert [s.reason for s in experiment.history.skips] == ["vanished"]


def test_a_corrupt_checkpoint_is_skipped_with_the_reason(trained):
    experiment = trained()
    Path(path_of(experiment, 6)).write_text("{")
    assert experiment.evaluate_pass(once=True) is None
    damaged, saved = experiment.history.skips
    assert (damaged.reason, saved.reason) == ("corrupt", "corrupt"), "of these files and of the save"
    assert (damaged.checkpoint, saved.checkpoint) == (
        experiment.latest_checkpoint().id,
        experiment.history.saves[-1].id,
    )
    assert experiment.evaluate_pass(path_of(experiment, 4), once=True)
    assert skips(experiment)[2:] == [("evaluation", None, 2, "superseded")]


def test_a_save_that_was_evaluated_before_its_files_were_damaged_is_not_called_corrupt(trained):
    experiment = trained()
    experiment.evaluate_pass(once=True)
    Path(path_of(experiment, 6)).write_text("{")
    assert experiment.evaluate_pass(once=True) is None
    assert [s.checkpoint for s in experiment.history.skips if s.reason == "corrupt"] == [
        experiment.latest_checkpoint().id
    ]


def test_what_was_skipped_with_a_reason_is_not_superseded_as_well(trained):
    experiment = trained()
    experiment.estimator.before = lambda path: Path(path).unlink()
    experiment.evaluate_pass(path_of(experiment, 4), once=True)
    experiment.estimator.before = lambda path: None
    experiment.evaluate_pass(once=True)
    assert skips(experiment) == [("evaluation", None, 4, "vanished"), ("evaluation", None, 2, "superseded")]


def test_any_other_error_is_raised(trained):
    experiment = trained(eval_input_fn=list)
    with pytest.raises(ValueError, match="gave no batch"):
        experiment.evaluate_pass(once=True)
    assert experiment.history.skips == ()


def test_an_estimator_that_keeps_no_files_raises_its_own_errors(tmp_path, box, clock):
    class Memory:
        model_dir, config = str(tmp_path), None

        def train(self, input_fn, hooks=None, steps=None, max_steps=None):
            return self

        def evaluate(self, *args, **kwargs):
            raise FileNotFoundError("a data file of the user's")

        def latest_checkpoint(self):
            return "memory:5"

    experiment = Experiment(Memory(), None, None, plugins=box.host, clock=clock)
    with pytest.raises(FileNotFoundError):
        experiment.evaluate_pass(once=True)


# --- pins ------------------------------------------------------------------------------------------------


def pins(experiment):
    return Pins(experiment.model_dir, VirtualClock()).checkpoints()


def train_beside(experiment, until):
    """Trains as another process would that keeps one checkpoint only."""
    config = RunConfig(model_dir=experiment.model_dir, save_checkpoints_steps=2, keep_checkpoint_max=1)
    NumpyEstimator(config=config, clock=VirtualClock()).train(data(1), max_steps=until)


@pytest.mark.parametrize("once", [True, False])
def test_a_checkpoint_is_not_deleted_by_a_trainer_while_it_is_evaluated(trained, once):
    experiment = trained(eval_input_fn={"a": data(2), "b": data(3)})
    seen = []

    def meanwhile(path):
        train_beside(experiment, 8 + 2 * len(seen))
        seen.append((Path(path).exists(), pins(experiment)))

    experiment.estimator.before = meanwhile
    assert experiment.evaluate_pass(path_of(experiment, 4), once=once)["global_step"] == 4
    assert seen == [(True, {"ckpt-4.json"})] * 2, "for every set"
    assert pins(experiment) == set()
    assert [Path(p).name for p in experiment.estimator.checkpoints()] == ["ckpt-4.json", "ckpt-10.json"]
    train_beside(experiment, 12)
    assert [Path(p).name for p in experiment.estimator.checkpoints()] == ["ckpt-12.json"]


def test_plugins_that_are_told_of_an_evaluation_can_read_the_checkpoint_too(trained, box):
    told = []

    class Plugin:
        @hookimpl
        def expcore_before_evaluate(self, experiment):
            told.append(pins(experiment))

        @hookimpl
        def expcore_after_evaluate(self, experiment):
            told.append(pins(experiment))

    box.observe(Plugin)
    trained().evaluate_pass()
    assert told == [{"ckpt-6.json"}] * 2


def test_after_an_error_nothing_is_pinned(trained):
    experiment = trained(eval_input_fn=list)
    with pytest.raises(ValueError, match="gave no batch"):
        experiment.evaluate_pass()
    assert pins(experiment) == set()


def test_one_that_vanished_before_it_was_pinned_is_vanished(trained):
    experiment = trained()
    identify = experiment.history.identify

    def delete(path):
        Path(path).unlink()
        return identify(path)

    path = path_of(experiment, 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(experiment.history), "identify", lambda _, found: delete(found))
        assert experiment.evaluate_pass(path, once=True) is None
    assert "vanished" in [s.reason for s in experiment.history.skips]
    assert pins(experiment) == set()


def test_where_nothing_can_be_pinned_the_evaluation_is_made_all_the_same(trained, caplog):
    experiment = trained()
    Path(experiment.model_dir, "expcore", "pins").write_text("in the way")
    assert experiment.evaluate_pass(once=True)["global_step"] == 6
    assert caplog.text.count("is not pinned while it is read") == 1


# --- signals ---------------------------------------------------------------------------------------------


def test_a_signal_during_an_evaluation_ends_it_after_the_result_is_recorded(trained):
    experiment = trained()
    experiment.estimator.before = lambda path: experiment.interrupt(2)
    with pytest.raises(StoppedBySignal) as caught:
        experiment.evaluate_pass(once=True)
    assert caught.value.code == 130
    assert [e.step for e in experiment.history.evaluations] == [6]
    assert experiment.evaluate_pass(once=True) is None


def test_a_signal_before_an_evaluation_lets_none_begin(trained):
    experiment = trained()
    experiment.interrupt(15)
    with pytest.raises(StoppedBySignal):
        experiment.evaluate_pass()
    assert experiment.estimator.asked == []
    assert experiment.evaluate_pass()
