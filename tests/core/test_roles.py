"""Which schedules have a meaning for which task."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

import expcore
from expcore.errors import ClusterError
from expcore.roles import check_role, is_synchronous

CLUSTER = {"chief": ["a:1"], "worker": ["b:1", "c:1"]}
WITH_PS = {**CLUSTER, "ps": ["d:1"]}
TRAINING = ["train", "train_and_evaluate", "continuous_train_and_evaluate", "test"]
EVALUATING = ["evaluate", "continuous_eval", "continuous_eval_on_train_data"]
ALL = [*TRAINING, *EVALUATING, "run_std_server"]


def of(kind, cluster=None, *, synchronous=None, coordinated=False):
    task = {"task": {"type": kind, "index": 0}} if kind else {}
    given = {**({"cluster": cluster} if cluster else {}), **task}
    config = expcore.RunConfig(task=expcore.cluster.parse_tf_config(json.dumps(given)))
    said = {} if synchronous is None else {"synchronous": synchronous}
    estimator = SimpleNamespace(coordinated=coordinated, **said)
    return SimpleNamespace(config=config, estimator=estimator)


def refused(experiment):
    found = []
    for schedule in ALL:
        try:
            check_role(experiment, schedule)
        except ClusterError:
            found.append(schedule)
    return found


@pytest.mark.parametrize(
    ("experiment", "expected"),
    [
        (of(None), []),
        (of("chief", WITH_PS), ["run_std_server"]),
        (of("worker", WITH_PS), []),
        (of("ps", WITH_PS), [*TRAINING, *EVALUATING]),
        (of("evaluator", CLUSTER), [*TRAINING, "run_std_server"]),
        (
            of("chief", CLUSTER, synchronous=True),
            ["continuous_train_and_evaluate", "test", *EVALUATING, "run_std_server"],
        ),
        (
            of("worker", CLUSTER, synchronous=True),
            ["continuous_train_and_evaluate", "test", *EVALUATING, "run_std_server"],
        ),
        (of("worker", CLUSTER, synchronous=False), []),
        (of("worker", CLUSTER), []),
        (of("evaluator", CLUSTER, synchronous=True), [*TRAINING, "run_std_server"]),
        (of("worker", WITH_PS, coordinated=True), [*TRAINING[2:], *EVALUATING]),
        (of("chief", WITH_PS, coordinated=True), [*TRAINING[2:], *EVALUATING, "run_std_server"]),
        (of("ps", WITH_PS, coordinated=True), [*TRAINING, *EVALUATING]),
    ],
    ids=str,
)
def test_what_has_no_meaning_is_refused(experiment, expected):
    assert refused(experiment) == expected


def test_an_estimator_that_does_not_say_is_synchronous_with_a_strategy():
    assert not is_synchronous(of(None))
    config = expcore.RunConfig(train_distribute=object())
    assert is_synchronous(SimpleNamespace(config=config, estimator=SimpleNamespace()))


def test_the_message_says_what_to_run():
    with pytest.raises(ClusterError, match=r"'train' on ps 0: .*the task decides"):
        check_role(of("ps", WITH_PS), "train")
