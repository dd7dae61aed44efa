"""The schedule test: one step of everything, on a copy where there can be one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from expcore.cluster import RunConfig
from expcore.errors import ExportFailed, NotCopyable, StoppedBySignal
from expcore.events import LogReader
from expcore.experiment import Experiment
from expcore.testing import PluginSandbox, VirtualClock
from expcore.testing.numpy_estimator import NumpyEstimator


class Fixed(NumpyEstimator):
    """Cannot be copied, as a KerasEstimator of a finished model."""

    def with_model_dir(self, path):
        raise NotCopyable("its model was given, not made by a function")


class Without(NumpyEstimator):
    """Knows nothing of copies, as an estimator of 2017."""

    with_model_dir = None


class Exporter:
    def __init__(self, error=None):
        self.name, self.error, self.calls = "mine", error, []

    def export(
        self, estimator, export_path, checkpoint_path=None, eval_result=None, is_the_final_export=False
    ):
        self.calls.append((estimator, export_path, checkpoint_path, eval_result, is_the_final_export))
        if self.error:
            raise self.error
        os.makedirs(export_path)
        return export_path


class Hook:
    def __init__(self):
        self.ends = []

    def end(self, run):
        self.ends.append((run.step, run.model_dir))


def data():
    return [([[1.0]], [1.0])] * 8


@pytest.fixture
def make(tmp_path):
    host = PluginSandbox(builtins=True, disable=["plugins/default_hooks"]).host

    def experiment(kind=NumpyEstimator, **arguments):
        config = RunConfig(model_dir=str(tmp_path / "model"))
        clock = VirtualClock()
        return Experiment(
            kind(config=config, clock=clock), data, data, plugins=host, clock=clock, **arguments
        )

    return experiment


def tree(directory):
    return {str(p): p.read_bytes() for p in Path(directory).rglob("*") if p.is_file()}


def test_on_a_copy_everything_runs_once_and_the_real_directory_is_not_even_made(make, tmp_path, caplog):
    caplog.set_level("INFO")
    exporter, train_hook, eval_hook = Exporter(), Hook(), Hook()
    experiment = make(
        train_steps=100, train_hooks=[train_hook], eval_hooks=[eval_hook], export_strategies=exporter
    )
    result = experiment.test()
    assert result["global_step"] == 1
    ((estimator, export_path, checkpoint, eval_result, final),) = exporter.calls
    assert estimator is not experiment.estimator
    assert (eval_result, final) == (result, True)
    copy = str(Path(checkpoint).parent)
    assert export_path == os.path.join(copy, "export", "mine")
    assert train_hook.ends == [(1, copy)]
    assert eval_hook.ends == []
    assert not Path(copy).exists(), "it is thrown away"
    assert list(tmp_path.iterdir()) == []
    assert "one step was trained and evaluated, 1 of 1 exporters wrote" in caplog.text


def test_the_directory_of_a_real_run_stays_untouched_and_the_run_unaffected(make, tmp_path):
    make(train_steps=4).train_and_evaluate()
    before = tree(tmp_path)
    experiment = make(train_steps=4)
    assert experiment.test()["global_step"] == 1
    assert tree(tmp_path) == before
    assert experiment.history.evaluations[-1].step == 4


def test_it_stays_untouched_where_the_test_fails_as_well(make, tmp_path):
    make(train_steps=4).train_and_evaluate()
    before = tree(tmp_path)
    with pytest.raises(ExportFailed, match="on fire") as caught:
        make(export_strategies=Exporter(KeyError("on fire"))).test()
    assert tree(tmp_path) == before
    assert not Path(caught.value.__cause__.__notes__[0]).exists()


@pytest.mark.parametrize(
    ("kind", "why"), [(Fixed, "its model was given"), (Without, "it has no with_model_dir")]
)
def test_where_there_can_be_no_copy_it_runs_in_place_and_says_so(make, tmp_path, caplog, kind, why):
    exporter = Exporter()
    experiment = make(kind, train_steps=4, export_strategies=exporter)
    experiment.train()
    assert experiment.test()["global_step"] == 5
    assert exporter.calls[0][0] is experiment.estimator
    assert f"the estimator cannot be copied ({why}" in caplog.text
    assert f"the test runs in {str(tmp_path / 'model')!s}" in caplog.text
    assert experiment.latest_checkpoint().step == 5
    assert [e.kind for e in LogReader(experiment.model_dir).read()].count("evaluated") == 1


def test_a_signal_that_came_while_the_copy_was_tried_ends_it_and_leaves_the_directory_untouched(
    make, tmp_path
):
    experiment = make()

    class Interrupts:
        def after_steps(self, run):
            experiment.interrupt(15)

    experiment.extend_train_hooks([Interrupts()])
    with pytest.raises(StoppedBySignal):
        experiment.test()
    assert list(tmp_path.iterdir()) == []


def test_one_batch_is_evaluated_whatever_eval_steps_says(make):
    seen = []

    class Spy(Fixed):
        def evaluate(self, input_fn, steps=None, hooks=None, checkpoint_path=None, name=None):
            seen.append((steps, hooks, name))
            return super().evaluate(input_fn, steps, hooks, checkpoint_path, name)

    make(Spy, eval_steps=7, eval_hooks=[Hook()]).test()
    assert seen == [(1, [], None)]


def test_what_the_estimator_raises_when_copied_is_not_hidden(make):
    class Broken(NumpyEstimator):
        def with_model_dir(self, path):
            raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        make(Broken).test()
