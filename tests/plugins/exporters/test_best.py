"""The policy "best": the log's best, once, whatever restarts, ties and NaN do."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expcore.errors import InvalidArgument, InvalidType, UnknownMetric
from expcore.events import EVALUATED, EXPORTED, SAVED, Event
from expcore.history import History
from expcore.types import Checkpoint
from expcore_plugins.exporters.best import Best


class Nothing:
    def write(self, estimator, directory):
        raise AssertionError("these tests only ask whether to export")


class Log:
    """Events as processes would write them; ``at`` is the log with a checkpoint in hand."""

    def __init__(self):
        self.events = []

    def _add(self, kind, **data):
        seq = len(self.events)
        self.events.append(Event(kind, "events-a", seq, float(seq), float(seq), data))
        return self.events[-1].id

    def saved(self, step):
        return self._add(SAVED, path=f"ckpt-{step}", inside=True, step=step, fingerprint=[step, step])

    def evaluated(self, checkpoint, step, **metrics):
        metrics["global_step"] = step
        self._add(EVALUATED, checkpoint=checkpoint, step=step, metrics=metrics, name=None, source="eval")
        return metrics

    def exported(self, checkpoint, step, name="best"):
        self._add(EXPORTED, exporter=name, checkpoint=checkpoint, step=step, path=None, final=False)

    def at(self, checkpoint=None, step=None):
        here = None if checkpoint is None else Checkpoint(checkpoint, f"ckpt-{step}", step)
        return History(self.events, "/model", checkpoint=here)


def wanted(policy, log, step, **metrics):
    """Saves, evaluates and asks; records the export if there is one."""
    checkpoint = log.saved(step)
    result = log.evaluated(checkpoint, step, **metrics)
    if not policy.wants(result, log.at(checkpoint, step), False):
        return False
    log.exported(checkpoint, step, policy.name)
    return True


def series(policy, values, metric="loss"):
    log = Log()
    return [wanted(policy, log, 10 * i, **{metric: value}) for i, value in enumerate(values, 1)]


def test_only_a_result_better_than_all_before_is_exported():
    assert series(Best(Nothing()), [3.0, 4.0, 2.0, 2.0, 1.0]) == [True, False, True, False, True]


def test_the_direction_comes_from_the_name_or_from_mode():
    assert series(Best(Nothing(), metric="auc"), [0.5, 0.4, 0.6], "auc") == [True, False, True]
    assert series(Best(Nothing(), metric="auc", mode="min"), [0.5, 0.4, 0.6], "auc") == [True, True, False]
    assert series(Best(Nothing(), metric="zeal", mode="max"), [0.5, 0.4, 0.6], "zeal") == [True, False, True]


def test_nan_and_infinity_are_never_best_in_either_direction():
    values = [math.nan, math.inf, -math.inf, 3.0, math.nan, -math.inf, 2.0]
    assert series(Best(Nothing()), values) == [False, False, False, True, False, False, True]
    assert series(Best(Nothing(), mode="max"), [math.inf, 1.0, math.inf, 2.0]) == [False, True, False, True]


def test_a_restart_exports_no_worse_model_and_not_the_same_one_again():
    log = Log()
    assert wanted(Best(Nothing()), log, 10, loss=1.0)
    restarted = Best(Nothing())
    assert not wanted(restarted, log, 20, loss=2.0)
    first = log.events[0].id
    assert not restarted.wants({"loss": 1.0}, log.at(first, 10), True)


def test_a_best_checkpoint_whose_export_was_lost_in_a_crash_is_exported_at_the_next_start():
    log = Log()
    checkpoint = log.saved(10)
    result = log.evaluated(checkpoint, 10, loss=1.0)
    assert Best(Nothing()).wants(result, log.at(checkpoint, 10), False)
    assert Best(Nothing()).wants(result, log.at(checkpoint, 10), True)


def test_a_step_written_again_after_a_rollback_is_another_checkpoint():
    log, policy = Log(), Best(Nothing())
    assert wanted(policy, log, 10, loss=2.0)
    assert wanted(policy, log, 10, loss=1.0)
    assert not wanted(policy, log, 10, loss=1.5)


def test_exports_by_another_name_do_not_count():
    log = Log()
    assert wanted(Best(Nothing(), name="one"), log, 10, loss=1.0)
    checkpoint = log.events[0].id
    assert Best(Nothing(), name="two").wants({"loss": 1.0}, log.at(checkpoint, 10), False)


def test_recorded_results_without_the_metric_do_not_count():
    log = Log()
    assert wanted(Best(Nothing()), log, 10, loss=0.1)
    assert wanted(Best(Nothing(), metric="accuracy"), log, 20, accuracy=0.2, loss=9.0)


def test_a_result_without_the_metric_names_those_there_are():
    with pytest.raises(UnknownMetric, match=r"exporter 'best'.*'auc' is not among \['accuracy', 'loss'\]"):
        Best(Nothing(), metric="auc").wants({"loss": 1.0, "accuracy": 1.0, "global_step": 3}, None, False)


def test_without_a_result_there_is_nothing_to_compare():
    with pytest.raises(InvalidArgument, match="eval_result is None"):
        Best(Nothing()).wants(None, None, False)


def test_without_a_log_every_finite_result_is_the_best():
    policy = Best(Nothing())
    assert policy.wants({"loss": 1.0}, None, False)
    assert policy.wants({"loss": 5.0}, None, False)
    assert not policy.wants({"loss": math.nan}, None, False)


def test_with_a_log_but_no_checkpoint_in_hand_the_step_tells_which_result_it_is():
    log = Log()
    for step, loss in ((10, 2.0), (20, 1.0), (30, 3.0)):
        log.evaluated(None, step, loss=loss)
    wants = [
        Best(Nothing()).wants({"loss": loss, "global_step": step}, log.at(), False)
        for step, loss in ((10, 2.0), (20, 1.0), (30, 3.0))
    ]
    assert wants == [False, True, False]
    wanted(Best(Nothing()), log, 40, loss=0.5)
    assert not Best(Nothing()).wants({"loss": 0.7, "global_step": 40}, log.at(), False)


def test_a_result_that_is_not_in_the_log_is_compared_with_those_that_are():
    log = Log()
    wanted(Best(Nothing()), log, 10, loss=2.0)
    assert Best(Nothing()).wants({"loss": 1.0}, log.at("unrecorded", 15), False)
    assert not Best(Nothing()).wants({"loss": 2.0}, log.at("unrecorded", 15), False)


def test_the_first_recorded_result_of_a_checkpoint_counts_not_a_second_opinion():
    log = Log()
    wanted(Best(Nothing()), log, 10, loss=2.0)
    checkpoint = log.saved(20)
    log.evaluated(checkpoint, 20, loss=3.0)
    assert not Best(Nothing()).wants({"loss": 1.0}, log.at(checkpoint, 20), False)


def test_of_equal_results_the_earlier_checkpoint_counts_though_it_was_evaluated_later():
    log, policy = Log(), Best(Nothing())
    early, late = log.saved(10), log.saved(20)
    result = log.evaluated(late, 20, loss=1.0)
    assert policy.wants(result, log.at(late, 20), False)
    log.exported(late, 20)
    result = log.evaluated(early, 10, loss=1.0)
    assert policy.wants(result, log.at(early, 10), False)
    assert not policy.wants(result, log.at(late, 20), False)


def test_with_min_delta_only_improvements_over_all_exports_by_more_than_it_count():
    values = [1.0, 0.9, 0.8, 0.7, 0.75, 0.2]
    assert series(Best(Nothing(), min_delta=0.25), values) == [True, False, False, True, False, True]
    assert series(Best(Nothing(), min_delta=0.5), [2.0, 1.5, 1.4]) == [True, False, True]


def test_with_min_delta_exports_by_another_name_do_not_count():
    log = Log()
    assert wanted(Best(Nothing(), name="other"), log, 10, loss=1.0)
    assert wanted(Best(Nothing(), min_delta=0.5), log, 20, loss=0.9)


def test_with_min_delta_a_late_evaluation_of_an_earlier_checkpoint_publishes_no_worse_model():
    log, policy = Log(), Best(Nothing(), min_delta=0.2)
    early = log.saved(10)
    assert wanted(policy, log, 20, loss=0.5)
    result = log.evaluated(early, 10, loss=0.45)
    assert not policy.wants(result, log.at(early, 10), False)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"mode": "least"}, InvalidArgument),
        ({"metric": "zeal"}, InvalidArgument),
        ({"metric": ""}, InvalidArgument),
        ({"min_delta": -0.1}, InvalidArgument),
        ({"min_delta": math.nan}, InvalidArgument),
        ({"keep": 0}, InvalidArgument),
        ({"name": "../up"}, InvalidArgument),
        ({"format": 3}, InvalidType),
    ],
)
def test_arguments_that_are_not_allowed_are_refused_at_construction(arguments, error):
    with pytest.raises(error):
        Best(**{"format": Nothing(), **arguments})


def test_the_default_name_is_best():
    assert Best(Nothing()).name == "best"
    assert Best(Nothing(), "loss", None, "best_loss", 3).name == "best_loss"


# -- against a reference ---------------------------------------------------------------------------

VALUES = st.sampled_from([None, math.nan, math.inf, -math.inf, 0.0, 1.0, 1.0, 2.0, 3.0, -1.0, 1e300])
# Each action: a value for the next checkpoint (None: the result lacks the metric), whether the process
# dies between evaluation and export, and whether the checkpoint is offered once more at the end.
ACTIONS = st.lists(st.tuples(VALUES, st.booleans(), st.booleans()), max_size=12)


def reference(actions, mode):
    """What has to be exported, kept in plain variables that survive everything."""
    best, done, exported = None, set(), []
    for i, (value, dies, again) in enumerate(actions):
        usable = value is not None and math.isfinite(value)
        if usable and (best is None or (value < best[1] if mode == "min" else value > best[1])):
            best = (i, value)
        for offered in [not dies, again]:
            if offered and best is not None and best[0] == i and i not in done:
                done.add(i)
                exported.append(i)
    return exported


@settings(max_examples=400, deadline=None)
@given(ACTIONS, st.sampled_from(["min", "max"]))
def test_it_agrees_with_a_reference_over_any_sequence_of_results_crashes_and_restarts(actions, mode):
    log, got = Log(), []
    for i, (value, dies, again) in enumerate(actions):
        checkpoint = log.saved(i)
        result = log.evaluated(checkpoint, i, **({} if value is None else {"loss": value}))
        for offered in [not dies, again]:
            if not offered:
                continue
            policy = Best(Nothing(), mode=mode)  # a new one each time: there is no state to lose
            if value is None:
                with pytest.raises(UnknownMetric):
                    policy.wants(result, log.at(checkpoint, i), False)
            elif policy.wants(result, log.at(checkpoint, i), False):
                log.exported(checkpoint, i)
                got.append(i)
    assert got == reference(actions, mode)
