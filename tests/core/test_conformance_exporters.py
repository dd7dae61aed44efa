"""What the clauses of exporters stand on: estimators of any kind, a watch on them, and on what is written."""

from __future__ import annotations

import errno
import os
import threading
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from expcore.conformance import Sample, check
from expcore.conformance.exporters.lending import LendingEstimator, Watch, fingerprint
from expcore.conformance.exporters.seen import Appearing, FullDisk, contents, differences, files
from expcore.conformance.exporters.trained import ROUNDS, Setting
from expcore.conformance.mutants.exporters_formats import Json
from expcore.conformance.mutants.exporters_policies import Lowest, Once
from expcore.conformance.mutants.exporters_publishing import Careful
from expcore.errors import CheckpointCorrupt, InvalidArgument
from expcore.testing.numpy_estimator import NumpyEstimator


def statuses(report):
    return {result.id: result.status for result in report.results}


class PinnedEstimator(NumpyEstimator):
    """Keeps where its latest checkpoint is, so that the directory cannot be moved."""

    def train(self, *args, **kwargs):
        super().train(*args, **kwargs)
        Path(self.model_dir, "latest").write_text(super().latest_checkpoint())
        return self

    def latest_checkpoint(self):
        note = Path(self.model_dir, "latest")
        return note.read_text() if note.exists() else None


class ClosedEstimator(NumpyEstimator):
    """Lends no model."""

    restored = None


# -- which components and estimators can be tried ----------------------------------------------------------


def test_what_is_no_exporter_at_all_fails_the_first_clause_and_the_report():
    report = check(SimpleNamespace(save=print), kind="exporter", on_fail="collect")
    assert statuses(report)["EXP-001"] == "failed"
    assert set(statuses(report).values()) == {"failed", "blocked"}
    assert not report.ok


def test_a_policy_that_is_given_as_an_object_is_left_as_it_is():
    format_ = Json()
    format_.lock = threading.Lock()  # cannot be copied
    policy = Once(format_, name="mine", keep=7)
    assert check(policy, kind="exporter").ok
    assert (policy.format, policy.name, policy.keep) == (format_, "mine", 7)


@pytest.mark.parametrize("estimator", [PinnedEstimator, NumpyEstimator])
@pytest.mark.parametrize("component", [Json, Careful, Lowest])
def test_components_are_tried_with_other_estimators(component, estimator):
    assert check(Sample(factory=component, estimator=estimator), kind="exporter").ok


@pytest.mark.parametrize("component", [Once, Lowest])
def test_a_policy_is_tried_with_an_estimator_that_lends_no_model(component):
    assert check(Sample(factory=component, estimator=ClosedEstimator), kind="exporter").ok


def test_what_the_suite_made_elsewhere_is_trained_where_its_checkpoints_cannot_be_moved(tmp_path):
    trained = Setting(Sample(estimator=PinnedEstimator)).trained(tmp_path)
    assert [Path(r.path).parent for r in trained.rounds] == [tmp_path / "model"] * ROUNDS
    assert trained.estimator.latest_checkpoint() == trained.rounds[-1].path


def test_the_latest_of_the_trained_checkpoints_is_not_the_best_one(tmp_path):
    trained = Setting(Sample()).trained(tmp_path)
    losses = [r.result["loss"] for r in trained.rounds]
    assert min(losses) == losses[1]
    assert trained.experiment.history.best("loss").step == trained.rounds[1].result["global_step"]


# -- the watch on an estimator -----------------------------------------------------------------------------


def test_the_watch_sees_which_checkpoint_was_asked_for_however_it_is_passed(tmp_path):
    trained = Setting(Sample()).trained(tmp_path)
    path = trained.rounds[0].path
    for context in (trained.estimator.restored(), trained.estimator.restored(path)):
        with context:
            pass
    with trained.estimator.restored(checkpoint_path=path):
        pass
    assert trained.watch.asked == [None, path, path]
    assert isinstance(trained.estimator, LendingEstimator)


def test_a_checkpoint_that_was_removed_is_gone_and_none_can_be_read(tmp_path):
    trained = Setting(Sample()).trained(tmp_path)
    trained.remove(0)
    assert not os.path.exists(trained.rounds[0].path)
    assert os.path.exists(trained.rounds[1].path)
    with pytest.raises(CheckpointCorrupt):
        trained.estimator.restored(trained.rounds[1].path)


def models():
    """Objects that look like the models of several libraries, each with its array."""
    arrays = [np.zeros(3) for _ in range(4)]
    yield SimpleNamespace(weights=arrays[0]), arrays[0]
    yield SimpleNamespace(get_weights=lambda: [arrays[1]]), arrays[1]
    yield SimpleNamespace(state_dict=lambda: {"w": arrays[2]}), arrays[2]
    yield SimpleNamespace(coef_=arrays[3], alpha=0.1), arrays[3]


@pytest.mark.parametrize(("model", "array"), list(models()))
def test_a_change_is_seen_in_models_of_any_library(model, array):
    estimator = SimpleNamespace(restored=lambda checkpoint_path=None: nullcontext(model))
    watch = Watch(estimator)
    with estimator.restored():
        assert fingerprint(model)
    assert watch.changed == []
    with estimator.restored():
        array[1] = 5
    assert len(watch.changed) == 1


# -- the watch on directories ------------------------------------------------------------------------------


def test_contents_tell_files_directories_and_links_apart_and_what_came_of_them(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_text("1")
    os.symlink("a", tmp_path / "link")
    before = contents(tmp_path)
    assert sorted(before) == ["a", "a/file", "link"]
    assert (before["a"], before["link"]) == ("directory", "link to a")
    assert files(tmp_path) == ["a/file"]
    assert contents(tmp_path, tmp_path / "a") == {"link": "link to a"}
    (tmp_path / "a" / "file").write_text("2")
    (tmp_path / "link").unlink()
    (tmp_path / "new").mkdir()
    assert differences(before, contents(tmp_path)) == "'new' is new, 'link' is gone, 'a/file' was changed"
    assert differences(before, before) == ""


def test_a_version_is_remembered_as_it_was_when_it_appeared(tmp_path):
    (tmp_path / "3").mkdir()
    appearing = Appearing(tmp_path)
    with appearing.looking():
        (tmp_path / "4").mkdir()
        (tmp_path / "4" / "first").write_text("")
        (tmp_path / "4" / "second").write_text("")
        (tmp_path / "tmp").mkdir()
        (tmp_path / "tmp" / "file").write_text("")
        (tmp_path / "tmp").rename(tmp_path / "5")
        os.listdir(tmp_path)
    (tmp_path / "6").mkdir()
    os.listdir(tmp_path)
    assert {name: sorted(found) for name, found in appearing.first.items()} == {"4": [], "5": ["file"]}


def test_a_full_disk_refuses_one_file_below_the_directory_and_no_other(tmp_path):
    base = tmp_path / "base"
    base.mkdir()
    disk = FullDisk(base, refused=2)
    with disk.filling():
        (tmp_path / "elsewhere").write_text("")
        (base / "first").write_text("")
        (base / "first").read_text()
        with pytest.raises(OSError, match="No space left") as refused:
            (base / "second").write_text("")
        (base / "third").write_text("")
    assert refused.value.errno == errno.ENOSPC
    assert disk.opened == 3
    (base / "second").write_text("")  # nothing is refused any more


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda model_dir: None, "estimator= returned None"),
        (lambda model_dir: 1 / 0, "estimator= raised Zero"),
    ],
)
def test_a_wrong_estimator_is_told_and_the_exporter_is_not_blamed(make, message):
    with pytest.raises(InvalidArgument, match=message):
        check(Json(), kind="exporter", estimator=make)
