"""The policy "steps": the first evaluation at or after each listed step, by the log."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expcore.errors import InvalidArgument
from expcore.types import Checkpoint, Export
from expcore_plugins.exporters.steps import Steps


class Nothing:
    def write(self, estimator, directory):
        raise AssertionError("these tests only ask whether to export")


@dataclass
class Log:
    checkpoint: Checkpoint | None = None
    exports: list[Export] = field(default_factory=list)

    def exported(self, exporter, checkpoint=None):
        return any(e.exporter == exporter and checkpoint in (None, e.checkpoint) for e in self.exports)


def exported_at(listed, evaluated, lost=()):
    """Evaluates at these steps with a new policy each time; exports of ``lost`` steps fail once."""
    log, done = Log(), []
    for i, step in enumerate(evaluated):
        log.checkpoint = Checkpoint(f"log:{i}", f"ckpt-{step}", step)
        if Steps(Nothing(), listed).wants({"global_step": step}, log, False) and step not in lost:
            log.exports.append(Export("steps", f"log:{i}", step, "p"))
            done.append(step)
    return done


def test_it_exports_at_the_first_evaluation_at_or_after_each_listed_step():
    assert exported_at([100, 300], [50, 99, 100, 150, 200, 310, 320]) == [100, 310]


def test_steps_that_one_evaluation_passes_are_one_export():
    assert exported_at([100, 200, 300, 400], [50, 350, 360, 400, 410]) == [350, 400]


def test_an_export_that_failed_is_made_at_the_next_evaluation():
    assert exported_at([100], [100, 150, 200], lost=[100]) == [150]


def test_a_step_written_again_after_a_rollback_is_not_exported_again():
    assert exported_at([100], [100, 150, 90, 100, 150]) == [100]


def test_a_checkpoint_offered_once_more_is_not_exported_again_though_its_step_is_unknown_in_the_log():
    log = Log(Checkpoint("log:1", "ckpt", None), [Export("steps", "log:1", None, "p")])
    assert not Steps(Nothing(), [5]).wants({"global_step": 5}, log, True)


def test_exports_by_another_name_do_not_count():
    log = Log(Checkpoint("log:1", "ckpt-5", 5), [Export("other", "log:0", 5, "p")])
    assert Steps(Nothing(), [5]).wants({}, log, False)


def test_the_step_comes_from_the_result_where_the_checkpoint_does_not_tell():
    assert Steps(Nothing(), [5]).wants({"global_step": 5}, Log(Checkpoint("log:1", "ckpt", None)), False)
    assert Steps(Nothing(), [5]).wants({"global_step": 7}, None, False)
    assert not Steps(Nothing(), [5]).wants({"global_step": 4}, None, False)
    with pytest.raises(InvalidArgument, match="global step is unknown"):
        Steps(Nothing(), [5]).wants({"loss": 1.0}, None, False)


@given(
    st.sets(st.integers(1, 40), min_size=1, max_size=6),
    st.lists(st.integers(0, 50), max_size=15, unique=True).map(sorted),
)
def test_it_agrees_with_going_through_the_list_by_hand(listed, evaluated):
    left, expected = sorted(listed), []
    for step in evaluated:
        passed = [s for s in left if s <= step]
        if passed:
            expected.append(step)
            left = left[len(passed) :]
    assert exported_at(list(listed), evaluated) == expected


@pytest.mark.parametrize("steps", [[], None, 5, "12", [0], [-1], [1.5], [True], [3, 3], {"a": 1}])
def test_a_list_that_is_not_of_different_positive_ints_is_refused(steps):
    with pytest.raises(InvalidArgument, match="exporter 'steps'"):
        Steps(Nothing(), steps)


def test_steps_may_come_in_any_order_and_all_versions_are_kept():
    policy = Steps(Nothing(), (30, 10, 20))
    assert policy.steps == (10, 20, 30)
    assert policy.keep is None
    assert policy.name == "steps"
