"""Clusters that cannot be joined are told before anybody is waited for."""

from __future__ import annotations

import pytest

from expcore.clock import RealClock
from expcore.cluster import RunConfig, parse_tf_config
from expcore.errors import ClusterError
from expcore_plugins.estimators.engine.joining import coordinated, is_coordinated, is_synchronous
from expcore_plugins.estimators.engine.settings import check_trains_alone


def config(**jobs):
    cluster = {job: [f"{job}{i}:1" for i in range(n)] for job, n in jobs.items()}
    return RunConfig(task=parse_tf_config({"cluster": cluster, "task": {"type": "chief", "index": 0}}))


@pytest.mark.parametrize(
    ("jobs", "kind"),
    [
        ({"chief": 1}, "alone"),
        ({"chief": 1, "worker": 1}, "synchronous"),
        ({"chief": 1, "worker": 2, "ps": 1}, "coordinated"),
        ({"chief": 1, "ps": 1}, "coordinated"),
    ],
)
def test_its_jobs_tell_the_kind_of_a_cluster(jobs, kind):
    found = config(**jobs)
    assert (is_synchronous(found), is_coordinated(found)) == (kind == "synchronous", kind == "coordinated")


def test_parameter_servers_without_a_worker_are_not_waited_for():
    with pytest.raises(ClusterError, match=r"has 2 ps and no worker: .*; add a worker, or leave out the ps"):
        coordinated(config(chief=1, ps=2), RealClock())


@pytest.mark.parametrize(
    ("jobs", "told"),
    [
        ({"chief": 1, "ps": 1}, "does not train on parameter servers"),
        ({"chief": 1, "worker": 2}, "3 training"),
    ],
)
def test_who_trains_alone_leaves_nobody_waiting(jobs, told):
    with pytest.raises(ClusterError, match=told):
        check_trains_alone("it", config(**jobs))
    check_trains_alone("it", config(chief=1))


@pytest.mark.tf
def test_who_was_told_that_training_is_complete_does_not_train_alone(tmp_path):
    from expcore_plugins.estimators.keras import KerasEstimator

    for jobs in ({"chief": 1, "worker": 1}, {"chief": 1, "worker": 1, "ps": 1}):
        estimator = KerasEstimator(lambda: None, config=config(**jobs).replace(model_dir=str(tmp_path)))
        estimator.trains_no_more()
        with pytest.raises(ClusterError, match="train in a new process"):
            estimator.train(lambda: None, max_steps=1)
