"""RunConfig and what follows from it."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from expcore.cluster import (
    ClusterTask,
    RunConfig,
    config_value,
    default_schedule,
    delay_secs_for,
    explain,
    global_step_to_wait_for,
    is_loopback,
    parse_tf_config,
    rhythm_given,
)
from expcore.errors import ClusterError, InvalidArgument, InvalidType, UnknownOption

CLUSTER = {"chief": ["c:1"], "worker": ["w0:1", "w1:1"], "ps": ["p:1"]}


@pytest.fixture(autouse=True)
def no_tf_config(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)


def config_of(kind, index=0, cluster=CLUSTER, **fields):
    task = parse_tf_config({"cluster": cluster, "task": {"type": kind, "index": index}})
    return RunConfig(task=task, **fields)


def test_a_plain_config_has_the_documented_defaults_and_is_a_chief_on_its_own():
    config = RunConfig()
    assert dataclasses.asdict(config) == {
        "model_dir": None,
        "save_checkpoints_steps": None,
        "save_checkpoints_secs": 600,
        "keep_checkpoint_max": 5,
        "keep_checkpoint_every_n_hours": None,
        "keep_checkpoint_best": None,
        "keep_checkpoint_best_mode": None,
        "save_summary_steps": 100,
        "log_step_count_steps": 100,
        "random_seed": None,
        "train_distribute": None,
        "eval_distribute": None,
        "start_server": False,
        "start_timeout_secs": 600.0,
        "task": dataclasses.asdict(ClusterTask()),
    }
    assert (config.cluster_spec, config.task_type, config.task_id) == ({}, None, 0)
    assert (config.master, config.evaluation_master) == ("", "")
    assert (config.is_chief, config.num_ps_replicas, config.num_worker_replicas) == (True, 0, 1)


def test_a_config_is_frozen_and_keyword_only():
    with pytest.raises(dataclasses.FrozenInstanceError):
        RunConfig().model_dir = "/m"
    with pytest.raises(TypeError):
        RunConfig("/m")


def test_steps_take_the_place_of_the_default_seconds():
    assert RunConfig(save_checkpoints_steps=10).save_checkpoints_secs is None


def test_both_rhythms_are_a_value_error_that_names_both():
    with pytest.raises(
        ValueError, match=r"save_checkpoints_steps=10 and save_checkpoints_secs=600 .* leave one"
    ):
        RunConfig(save_checkpoints_steps=10, save_checkpoints_secs=600)


def test_no_rhythm_at_all_is_allowed():
    config = RunConfig(save_checkpoints_secs=None)
    assert (config.save_checkpoints_steps, config.save_checkpoints_secs) == (None, None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("save_checkpoints_steps", v) for v in (0, -1, True, 1.5, "10")],
        *[("save_checkpoints_secs", v) for v in (0, -1, True, "60", float("nan"), float("inf"))],
        *[("keep_checkpoint_max", v) for v in (-1, True, 2.0, "5")],
        *[("keep_checkpoint_every_n_hours", v) for v in (0, -2, True, "1", float("inf"))],
        *[("keep_checkpoint_best", v) for v in ("", 3, True)],
        *[("keep_checkpoint_best_mode", v) for v in ("up", 1)],
        *[("save_summary_steps", v) for v in (0, -1, True, 10.0)],
        *[("log_step_count_steps", v) for v in (0, -1, False, "x")],
        *[("random_seed", v) for v in (-1, 2**32, True, 1.0, "7")],
        *[("start_server", v) for v in (None, 1, "yes")],
        *[("model_dir", v) for v in ("", b"/m", 5, Path)],
    ],
)
def test_a_field_with_a_wrong_value_is_named_with_it_and_its_rule(name, value):
    with pytest.raises(InvalidArgument, match=rf"RunConfig: {name}=.* must be "):
        RunConfig(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("save_checkpoints_steps", 1),
        ("save_checkpoints_secs", 0.5),
        ("keep_checkpoint_max", 0),
        ("keep_checkpoint_max", None),
        ("keep_checkpoint_every_n_hours", 0.25),
        ("keep_checkpoint_best", "accuracy"),
        ("keep_checkpoint_best_mode", "max"),
        ("save_summary_steps", None),
        ("log_step_count_steps", None),
        ("random_seed", 0),
        ("random_seed", 2**32 - 1),
        ("start_server", True),
        ("model_dir", "/m"),
        ("train_distribute", object()),
        ("eval_distribute", object()),
    ],
)
def test_a_field_takes_its_legal_values(name, value):
    assert getattr(RunConfig(**{name: value}), name) == value


def test_a_whole_number_of_another_library_becomes_an_int():
    numpy = pytest.importorskip("numpy")
    config = RunConfig(save_checkpoints_steps=numpy.int64(7))
    assert type(config.save_checkpoints_steps) is int


def test_a_path_object_becomes_a_string():
    assert RunConfig(model_dir=Path("/m")).model_dir == "/m"


def test_a_task_that_is_no_cluster_task_is_a_type_error():
    with pytest.raises(InvalidType, match="parse_tf_config"):
        RunConfig(task={"type": "worker"})


def test_tf_config_is_read_once_when_the_object_is_made(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": CLUSTER, "task": {"type": "worker", "index": 1}}))
    config = RunConfig()
    monkeypatch.setenv("TF_CONFIG", "nonsense")
    assert (config.task_type, config.task_id, config.master) == ("worker", 1, "grpc://w1:1")
    assert config.cluster_spec == CLUSTER
    assert (config.num_ps_replicas, config.num_worker_replicas, config.is_chief) == (1, 3, False)
    assert config.replace(random_seed=1).task == config.task
    with pytest.raises(ClusterError):
        RunConfig()


def test_changing_the_returned_cluster_spec_changes_nothing():
    config = config_of("chief")
    config.cluster_spec["worker"].append("x:1")
    assert config.cluster_spec == CLUSTER


def test_the_model_dir_of_tf_config_is_taken_and_must_agree_with_the_argument(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", '{"model_dir": "/m"}')
    assert RunConfig().model_dir == "/m"
    assert RunConfig(model_dir="/m/").model_dir == "/m/"
    with pytest.raises(ValueError, match=r"TF_CONFIG\.model_dir = '/m': .*'/other'.* must agree"):
        RunConfig(model_dir="/other")
    with pytest.raises(ClusterError):
        RunConfig().replace(model_dir="/other")


def test_replace_changes_only_what_it_is_given():
    config = RunConfig(model_dir="/m", save_checkpoints_steps=5, random_seed=1)
    other = config.replace(random_seed=2)
    assert dataclasses.asdict(other) == {**dataclasses.asdict(config), "random_seed": 2}
    assert config.random_seed == 1


def test_replacing_one_rhythm_replaces_the_other():
    assert RunConfig().replace(save_checkpoints_steps=5).save_checkpoints_secs is None
    assert RunConfig(save_checkpoints_steps=5).replace(save_checkpoints_secs=9).save_checkpoints_steps is None
    assert (
        RunConfig(save_checkpoints_steps=5).replace(save_checkpoints_steps=None).save_checkpoints_secs == 600
    )
    with pytest.raises(InvalidArgument, match="only one rhythm"):
        RunConfig().replace(save_checkpoints_steps=5, save_checkpoints_secs=9)


def test_replace_refuses_unknown_names_with_the_nearest_and_wrong_values():
    with pytest.raises(UnknownOption, match="did you mean 'random_seed'"):
        RunConfig().replace(random_sed=1)
    with pytest.raises(InvalidArgument, match="save_summary_steps=0"):
        RunConfig().replace(save_summary_steps=0)


@pytest.mark.parametrize(
    "change",
    [
        {"random_seed": 3},
        {"save_summary_steps": 3},
        {"save_checkpoints_steps": 3},
        {"save_checkpoints_secs": 3},
        {"keep_checkpoint_max": 3},
        {"keep_checkpoint_every_n_hours": 3},
        {"log_step_count_steps": 3},
    ],
)
def test_the_uid_stays_where_only_rhythms_seed_and_retention_change(change):
    config = RunConfig(model_dir="/m")
    assert config.replace(**change).uid() == config.uid()
    assert config.replace(**change).uid(whitelist=()) != config.uid(whitelist=[])


@pytest.mark.parametrize(
    "change",
    [
        {"model_dir": "/other"},
        {"train_distribute": object()},
        {"eval_distribute": object()},
        {"start_server": True},
        {"task": ClusterTask(task_type="evaluator")},
    ],
)
def test_the_uid_differs_where_anything_else_does_and_says_where(change):
    config = RunConfig(model_dir="/m")
    ours, theirs = config.uid(), config.replace(**change).uid()
    assert [name for name in ours if ours[name] != theirs[name]] == list(change)


def test_a_whitelist_of_the_callers_own_replaces_the_usual_one():
    assert RunConfig(model_dir="/a").uid(["model_dir"]) == RunConfig(model_dir="/b").uid(["model_dir"])


def test_a_config_survives_copying_and_pickling_with_its_hash():
    config = config_of("worker", model_dir="/m")
    for twin in (copy.deepcopy(config), pickle.loads(pickle.dumps(config))):
        assert twin == config
        assert hash(twin) == hash(config)
        assert twin.replace(save_checkpoints_steps=4).save_checkpoints_steps == 4
        assert not rhythm_given(twin)


def test_a_rhythm_is_given_if_somebody_chose_it():
    assert not rhythm_given(RunConfig())
    assert not rhythm_given(RunConfig().replace(random_seed=1))
    assert rhythm_given(RunConfig(save_checkpoints_secs=600))
    assert rhythm_given(RunConfig(save_checkpoints_steps=5))
    assert rhythm_given(RunConfig(save_checkpoints_secs=None))
    assert not rhythm_given(None)
    assert not rhythm_given(SimpleNamespace(save_checkpoints_secs=600, save_checkpoints_steps=None))
    assert rhythm_given(SimpleNamespace(save_checkpoints_secs=30, save_checkpoints_steps=None))
    assert rhythm_given(SimpleNamespace(save_checkpoints_steps=5))


def test_config_value_reads_what_is_there_and_gives_the_defaults_for_the_rest():
    foreign = SimpleNamespace(model_dir="/m", tf_random_seed=4, save_checkpoints_steps=9, task_id=None)
    assert config_value(foreign, "model_dir") == "/m"
    assert config_value(foreign, "random_seed") == 4
    assert config_value(foreign, "save_checkpoints_secs") is None
    assert config_value(foreign, "task_id") == 0
    assert config_value(foreign, "keep_checkpoint_max") == 5
    assert config_value(None, "save_checkpoints_secs") == 600
    assert config_value(RunConfig(random_seed=3), "random_seed") == 3


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(RunConfig) if f.name != "task"])
def test_the_defaults_for_foreign_configs_are_those_of_run_config(name):
    assert config_value(object(), name) == getattr(RunConfig(), name)


@pytest.mark.parametrize(
    "name",
    [
        "cluster_spec",
        "task_type",
        "task_id",
        "master",
        "evaluation_master",
        "is_chief",
        "num_ps_replicas",
        "num_worker_replicas",
    ],
)
def test_the_cluster_defaults_for_foreign_configs_are_those_of_a_process_on_its_own(name):
    assert config_value(None, name) == getattr(RunConfig(), name)


def test_config_value_gives_a_foreign_cluster_as_a_plain_dict():
    class Spec:
        def as_dict(self):
            return {"worker": {1: "w1:1"}, "chief": ["c:1"]}

    assert config_value(SimpleNamespace(cluster_spec=Spec()), "cluster_spec") == {
        "worker": ["w1:1"],
        "chief": ["c:1"],
    }
    assert config_value(SimpleNamespace(cluster_spec=None), "cluster_spec") == {}


def test_config_value_refuses_names_that_it_does_not_know():
    with pytest.raises(InvalidArgument, match="did you mean 'model_dir'"):
        config_value(None, "modeldir")


def test_no_config_runs_train_and_evaluate():
    assert default_schedule(None) == "train_and_evaluate"
    assert default_schedule(RunConfig()) == "train_and_evaluate"


@pytest.mark.parametrize(
    ("kind", "schedule"),
    [
        ("chief", "train_and_evaluate"),
        ("worker", "train"),
        ("ps", "run_std_server"),
        ("evaluator", "continuous_eval"),
    ],
)
def test_each_task_of_a_cluster_has_its_schedule(kind, schedule):
    assert default_schedule(config_of(kind)) == schedule


def test_a_master_trains_and_evaluates():
    cluster = {"master": ["m:1"], "worker": ["w:1"]}
    assert default_schedule(config_of("master", cluster=cluster)) == "train_and_evaluate"


def test_a_cluster_of_one_runs_train_and_evaluate():
    assert default_schedule(config_of("worker", cluster={"worker": ["w:1"]})) == "train_and_evaluate"


def test_an_evaluator_without_a_cluster_evaluates_continuously():
    assert default_schedule(RunConfig(task=ClusterTask(task_type="evaluator"))) == "continuous_eval"


def test_a_foreign_cluster_with_an_unknown_task_type_has_no_default():
    foreign = SimpleNamespace(cluster_spec=CLUSTER, task_type="wrker")
    with pytest.raises(
        ValueError, match=r"No default schedule for task type: 'wrker'.*did you mean 'worker'"
    ):
        default_schedule(foreign)


def test_a_foreign_cluster_without_a_task_type_needs_a_schedule():
    with pytest.raises(ValueError, match="Must specify a schedule"):
        default_schedule(SimpleNamespace(cluster_spec=CLUSTER, task_type=None))


def test_delays_are_five_seconds_a_task_and_at_most_sixty():
    assert [delay_secs_for(i) for i in (0, 1, 3, 11, 12, 13, 100)] == [0, 5, 15, 55, 60, 60, 60]


def test_the_steps_to_wait_for_are_those_of_the_original():
    assert [global_step_to_wait_for(i) for i in range(5)] == [0, 5545, 8788, 11090, 12875]


def test_explain_says_role_cluster_schedule_and_directory():
    assert explain(config_of("worker", 1, model_dir="/m")) == [
        "role: worker 1 of 2",
        "cluster: chief c:1; worker w0:1, w1:1; ps p:1",
        "default schedule: train",
        "model_dir: /m",
    ]
    assert explain(config_of("chief"))[0] == "role: chief 0 of 1, the chief"
    assert explain(config_of("evaluator", 3))[0] == "role: evaluator 3, outside the cluster"
    assert explain(None) == [
        "role: a process on its own",
        "cluster: none",
        "default schedule: train_and_evaluate",
        "model_dir: not set",
    ]


def test_explain_does_not_raise_where_there_is_no_default_schedule():
    lines = explain(SimpleNamespace(cluster_spec=CLUSTER, task_type="boss"))
    assert lines[2].startswith("default schedule: none (No default schedule for task type: 'boss'")


@pytest.mark.parametrize(
    ("address", "loopback"),
    [
        ("localhost:80", True),
        ("LOCALHOST.:80", True),
        ("127.0.0.1:80", True),
        ("127.9.9.9", True),
        ("[::1]:80", True),
        ("::1", True),
        ("[::ffff:127.0.0.1]:80", True),
        ("0.0.0.0:80", False),
        ("[::]:80", False),
        ("10.0.0.1:80", False),
        ("localhost.example.com:80", False),
        ("127.0.0.1.example.com:80", False),
        ("worker-0:80", False),
        ("", False),
    ],
)
def test_loopback_addresses_are_known_by_their_host(address, loopback):
    assert is_loopback(address) is loopback


def test_importing_the_module_imports_no_tensorflow():
    code = "import sys, expcore.cluster; sys.exit(bool({'tensorflow', 'keras', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
