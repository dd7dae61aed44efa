"""How the suite makes estimators to try: by a factory, by copies, and what it says where it cannot."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from expcore.conformance import ConformanceError, Sample, check
from expcore.conformance.clause import NotApplicable
from expcore.conformance.estimators.case import MOST_STEPS, EstimatorCase, alike, checkpoint_files, forms
from expcore.conformance.mutants.estimators import Plain
from expcore.conformance.mutants.estimators_hooking import Absorbing
from expcore.conformance.mutants.estimators_training import OfArrays, OfBatches
from expcore.conformance.setting import endless_data, linear_data
from expcore.testing.numpy_estimator import NumpyEstimator


def statuses(report):
    return {result.id: result.status for result in report.results}


def test_a_factory_is_given_the_directory_and_the_config_as_far_as_it_names_them(tmp_path):
    def by_config(config):
        return NumpyEstimator(config=config)

    def by_dir(model_dir):
        return NumpyEstimator(model_dir)

    for factory in (by_config, by_dir, NumpyEstimator):
        case = EstimatorCase(Sample(factory=factory), tmp_path)
        made = case.estimator("a")
        assert made.model_dir == case.estimator("a").model_dir == str(tmp_path / "a")
        assert made is not case.estimator("a")
    assert EstimatorCase(Sample(factory=by_config), tmp_path).estimator().config.random_seed == 1
    with pytest.raises(NotApplicable, match=r"save_checkpoints_steps.*names model_dir and config"):
        EstimatorCase(Sample(factory=by_dir), tmp_path).estimator(save_checkpoints_steps=3)


def test_a_class_or_an_instance_with_copies_passes_and_is_itself_not_trained(tmp_path):
    assert check(NumpyEstimator, kind="estimator").ok
    given = NumpyEstimator(str(tmp_path / "mine"))
    report = check(given, kind="estimator", on_fail="collect")
    assert report.ok, report.summary
    assert not (tmp_path / "mine").exists()
    found = statuses(report)
    assert (found["EST-025"], found["EST-031"], found["EST-034"]) == ("passed", "skipped", "passed")


def test_an_instance_that_cannot_be_copied_is_only_looked_at_and_that_is_too_little(tmp_path):
    given = Plain(str(tmp_path / "mine"), None)
    report = check(given, kind="estimator", on_fail="collect")
    assert not (tmp_path / "mine").exists()
    assert not report.failures
    assert {own for own, status in statuses(report).items() if status == "passed"} == {"EST-001", "EST-002"}
    assert "names model_dir and config" in next(r.message for r in report.results if r.id == "EST-063")
    with pytest.raises(ConformanceError, match="have to be tried"):
        report.raise_for_failures()


def test_a_factory_that_chooses_the_directory_is_tried_as_far_as_that_goes(tmp_path):
    numbers = itertools.count()

    def copied():
        return NumpyEstimator(str(tmp_path / f"run{next(numbers)}"))

    def plain():
        return Plain(str(tmp_path / f"run{next(numbers)}"), None)

    def one_place():
        return Plain(str(tmp_path / "one"), None)

    found = statuses(check(kind="estimator", factory=copied, on_fail="collect", capabilities=()))
    assert "failed" not in found.values()
    assert (found["EST-025"], found["EST-026"]) == ("passed", "passed")
    report = check(kind="estimator", factory=plain, on_fail="collect", capabilities=())
    assert not report.failures
    assert (statuses(report)["EST-026"], statuses(report)["EST-025"]) == ("passed", "skipped")
    case = EstimatorCase(Sample(factory=one_place), tmp_path)
    case.estimator("a")
    with pytest.raises(NotApplicable, match="twice"):
        case.estimator("b")


def test_the_data_are_those_of_the_sample_or_linear_ones(tmp_path):
    def own():
        return linear_data()

    plain = EstimatorCase(Sample(factory=NumpyEstimator), tmp_path)
    assert (plain.train_data, plain.eval_data) == (endless_data, linear_data)
    one = EstimatorCase(Sample(factory=NumpyEstimator, train_input_fn=own), tmp_path)
    assert (one.train_data, one.eval_data) == (own, own)


def test_training_data_that_end_too_early_are_told_as_a_reason():
    report = check(NumpyEstimator, kind="estimator", on_fail="collect", train_input_fn=linear_data)
    assert "the training data end before that" in next(r.message for r in report.failures)
    x, y = linear_data()
    enough = (np.tile(x, (MOST_STEPS // 2, 1)), np.tile(y, MOST_STEPS // 2))
    assert check(
        NumpyEstimator, kind="estimator", train_input_fn=lambda: enough, eval_input_fn=linear_data
    ).ok


def test_results_are_alike_up_to_rounding():
    assert alike({"loss": 1.0, "n": 3}, {"loss": 1.0 + 1e-9, "n": 3})
    assert alike({"loss": float("nan")}, {"loss": np.float32("nan")})
    assert not alike({"loss": 1.0}, {"loss": 1.00001})
    assert not alike({"loss": 1.0}, {"loss": 1.0, "auc": 1.0})
    assert not alike({"word": "a"}, {"word": "b"})


def test_the_files_of_a_checkpoint_are_those_of_its_name_and_no_other_steps(tmp_path):
    for name in ("ckpt-1.index", "ckpt-1.data-0", "ckpt-12.index", "ckpt-1/part", "xckpt-1"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    found = [str(path.relative_to(tmp_path)) for path in checkpoint_files(str(tmp_path / "ckpt-1"))]
    assert found == ["ckpt-1/part", "ckpt-1.data-0", "ckpt-1.index"]
    assert checkpoint_files(str(tmp_path / "gone" / "ckpt-1")) == []


def test_the_forms_of_an_estimator_are_its_optional_parts(tmp_path):
    whole = {"supports_hook", "checkpoints", "restored", "with_model_dir", "predict", "saving_listeners"}
    assert forms(NumpyEstimator(str(tmp_path))) == whole
    assert forms(Plain(str(tmp_path), None)) == forms(None) == frozenset()


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (
            OfArrays,
            "an endless iterable of batches (x, y) of shapes [16, 3] and [16]; else give train_input_fn=",
        ),
        (OfBatches, "a pair of arrays (x, y) of shapes [64, 3] and [64]; else give eval_input_fn="),
    ],
)
def test_an_estimator_for_data_of_another_form_is_told_the_form_of_the_suites_own(made, said):
    report = check(kind="estimator", factory=made, on_fail="collect")
    (failure,) = report.failures
    assert failure.id == "EST-063"
    assert "raised ValueError: too many values to unpack" in failure.message
    assert said in failure.message


def test_an_error_on_data_that_were_given_is_told_as_it_is():
    report = check(kind="estimator", factory=OfArrays, train_input_fn=lambda: [1, 2, 3], on_fail="collect")
    (failure,) = report.failures
    assert failure.id == "EST-063"
    assert "expected:  no error" in failure.message


def test_an_estimator_that_absorbs_listeners_is_told_why_it_was_given_them():
    report = check(kind="estimator", factory=Absorbing, on_fail="collect")
    (failure,) = report.failures
    assert failure.id == "EST-047"
    assert "train() takes **kwargs and so is given saving_listeners" in failure.message
