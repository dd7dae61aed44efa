"""TF_CONFIG: every rule, and that nothing but ClusterError ever comes out."""

from __future__ import annotations

import copy
import json
import logging

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from expcore.cluster import ClusterTask, parse_tf_config
from expcore.errors import ClusterError
from expcore.tf_config import tf_config_faults

CHIEF = {"chief": ["c:1"], "worker": ["w0:1", "w1:1"], "ps": ["p:1"]}
MASTER = {"master": ["m:1"], "worker": ["w:1"], "ps": ["p:1"]}


def tf_config(cluster=None, kind=None, index=None, **more):
    found = dict(more)
    if cluster is not None:
        found["cluster"] = cluster
    if kind is not None or index is not None:
        found["task"] = {k: v for k, v in (("type", kind), ("index", index)) if v is not None}
    return found


def problem(source):
    with pytest.raises(ClusterError) as raised:
        parse_tf_config(source)
    message = str(raised.value)
    assert "\n" not in message
    assert len(message) < 500
    return message


@pytest.mark.parametrize(
    "source", [None, "", "  \n", "{}", {}, '{"cluster": {}}', '{"cluster": null, "task": null}']
)
def test_nothing_said_is_a_process_on_its_own(source):
    assert parse_tf_config(source) == ClusterTask()


def test_text_and_mapping_say_the_same():
    config = tf_config(CHIEF, "worker", 1, environment="cloud")
    assert parse_tf_config(config) == parse_tf_config(json.dumps(config))


def test_a_worker_knows_its_cluster_and_its_master():
    task = parse_tf_config(tf_config(CHIEF, "worker", 1))
    assert task.cluster_spec == CHIEF
    assert (task.task_type, task.task_id, task.master) == ("worker", 1, "grpc://w1:1")
    assert (task.is_chief, task.num_ps_replicas, task.num_worker_replicas) == (False, 1, 3)


@pytest.mark.parametrize(("cluster", "kind"), [(CHIEF, "chief"), (MASTER, "master")])
def test_chief_and_master_are_the_chief(cluster, kind):
    assert parse_tf_config(tf_config(cluster, kind, 0)).is_chief
    assert not parse_tf_config(tf_config(cluster, "worker", 0)).is_chief


def test_in_a_cluster_of_workers_alone_the_first_is_the_chief():
    cluster = {"worker": ["a:1", "b:1"]}
    assert parse_tf_config(tf_config(cluster, "worker", 0)).is_chief
    assert not parse_tf_config(tf_config(cluster, "worker", 1)).is_chief
    assert parse_tf_config(tf_config(cluster, "worker", 1)).num_worker_replicas == 2


def test_a_cluster_of_one_has_no_master_address():
    assert parse_tf_config(tf_config({"worker": ["w:1"]}, "worker", 0)).master == ""


@pytest.mark.parametrize("cluster", [CHIEF, {**CHIEF, "evaluator": ["e0:1", "e1:1"]}])
def test_an_evaluator_sees_an_empty_cluster_whether_it_is_listed_or_not(cluster):
    task = parse_tf_config(tf_config(cluster, "evaluator", 1))
    assert (task.cluster_spec, task.task_type, task.task_id, task.master) == ({}, "evaluator", 1, "")
    assert (task.is_chief, task.num_ps_replicas, task.num_worker_replicas) == (False, 0, 0)


def test_sessions_scheme_and_model_dir_are_taken_over():
    task = parse_tf_config(
        tf_config(CHIEF, "worker", 0, session_master="local", eval_session_master="there", model_dir="/m")
    )
    assert (task.master, task.evaluation_master, task.model_dir) == ("local", "there", "/m")
    assert parse_tf_config(tf_config(CHIEF, "ps", 0, rpc_layer="grpc+loas")).master == "grpc+loas://p:1"


@pytest.mark.parametrize("kind", [None, "worker", "evaluator"])
def test_without_a_cluster_a_task_may_be_worker_or_evaluator_zero(kind):
    task = parse_tf_config(tf_config(None, kind, 0))
    assert (task.task_type, task.task_id) == (kind, 0)


def test_empty_lists_of_addresses_are_jobs_that_are_not_there():
    task = parse_tf_config(tf_config({**CHIEF, "ps": [], "evaluator": []}, "worker", 0))
    assert task.num_ps_replicas == 0
    assert "ps" not in task.cluster_spec


@pytest.mark.parametrize(
    "address", ["h:1", "a-b.c_d:65535", "10.0.0.1:2222", "[::1]:2222", "[fe80::1%eth0]:80"]
)
def test_names_and_numbers_with_a_port_are_addresses(address):
    assert parse_tf_config(tf_config({"chief": [address]}, "chief", 0)).cluster_spec == {"chief": [address]}


@pytest.mark.parametrize(
    ("source", "path", "rule"),
    [
        ("[]", "", "must be an object"),
        ("5", "", "must be an object"),
        (5, "", "must be an object"),
        (["x"], "", "must be an object"),
        ("{", "", "not JSON"),
        ('{"a": 1} x', "", "not JSON"),
        ("\ufeff{}", "", "not JSON"),
        ("[" * 100_000, "", "nested too deeply"),
        ('{"cluster": ' * 5000 + "1" + "}" * 5000, "", "nested too deeply"),
        ('{"service": {"a": ' + "9" * 5000 + "}}", "", "too many digits"),
        (json.dumps({"environment": "x" * 10_000_000}), "", "must not be longer"),
        ('{"task": {"index": 1, "index": 0}}', ".task.index", "stands twice"),
        ('{"task": {}, "task": {}}', ".task", "stands twice"),
        ('{"cluster": {"worker": ["a:1"], "worker": ["b:1"]}}', ".cluster.worker", "stands twice"),
        ('{"service": {"a": [{"b": 1, "b": 2}]}}', ".service.a[0].b", "stands twice"),
        ({"cluster": []}, ".cluster", "must be an object"),
        ({"cluster": "w:1"}, ".cluster", "must be an object"),
        ({"task": "worker"}, ".task", "must be an object"),
        ({"service": 3}, ".service", "must be an object"),
        ({"environment": 3}, ".environment", "must be a string"),
        ({"session_master": {}}, ".session_master", "must be a string"),
        ({"eval_session_master": 1}, ".eval_session_master", "must be a string"),
        ({"rpc_layer": 1}, ".rpc_layer", "must be a string"),
        ({"model_dir": 1}, ".model_dir", "must be a string"),
        ({"model_dir": ""}, ".model_dir", "must not be empty"),
        (tf_config({"wrker": ["w:1"]}, "worker", 0), ".cluster.wrker", "did you mean 'worker'"),
        (tf_config({"wörker": ["w:1"]}, "worker", 0), ".cluster['wörker']", "job must be one of"),
        (tf_config({3: ["w:1"]}, "worker", 0), ".cluster[3]", "job must be one of"),
        (tf_config({"worker": "w:1"}, "worker", 0), ".cluster.worker", "list of addresses"),
        (tf_config({"worker": {"0": "w:1"}}, "worker", 0), ".cluster.worker", "list of addresses"),
        (tf_config({"worker": ["w:1", 5]}, "worker", 0), ".cluster.worker[1]", "must be a string"),
        (
            tf_config({"worker": ["a:1", "A:1"]}, "worker", 0),
            ".cluster.worker[1]",
            "TF_CONFIG.cluster.worker[0] has it",
        ),
        (tf_config({"worker": ["[::1]:1", "[0:0::1]:1"]}, "worker", 0), ".cluster.worker[1]", "has it too"),
        (
            tf_config({"chief": ["a:1"], "ps": ["a:1"]}, "ps", 0),
            ".cluster.ps[0]",
            "TF_CONFIG.cluster.chief[0] has it",
        ),
        (tf_config({**CHIEF, "master": ["m:1"]}, "worker", 0), ".cluster", "both a chief and a master"),
        (tf_config({"chief": ["a:1", "b:1"]}, "chief", 0), ".cluster.chief", "exactly one chief"),
        (tf_config({"master": ["a:1", "b:1"]}, "master", 0), ".cluster.master", "exactly one master"),
        (
            tf_config({"worker": ["a:1"], "ps": ["b:1"]}, "worker", 0),
            ".cluster",
            "neither a chief nor a master",
        ),
        (tf_config({"evaluator": ["a:1"]}, "evaluator", 0), ".cluster", "neither a chief nor a master"),
        (tf_config({**MASTER, "evaluator": ["e:1"]}, "worker", 0), ".cluster", "no evaluator beside it"),
        (tf_config(MASTER, "evaluator", 0), ".task.type", "no evaluator beside it"),
        (tf_config(CHIEF), ".task.type", "a cluster needs it"),
        (tf_config(CHIEF, None, 0), ".task.type", "a cluster needs it"),
        (tf_config(CHIEF, "worker"), ".task.index", "a cluster needs it"),
        (tf_config(CHIEF, "master", 0), ".task.type", "no such job"),
        (tf_config(CHIEF, "worke", 0), ".task.type", "did you mean 'worker'"),
        (tf_config(CHIEF, 7, 0), ".task.type", "must be a string"),
        (tf_config(CHIEF, "worker", 2), ".task.index", "has 2 of job 'worker'"),
        (tf_config(CHIEF, "worker", -1), ".task.index", "counted from 0"),
        (tf_config(CHIEF, "evaluator", -1), ".task.index", "counted from 0"),
        (
            tf_config({**CHIEF, "evaluator": ["e:1"]}, "evaluator", 1),
            ".task.index",
            "has 1 of job 'evaluator'",
        ),
        (tf_config(CHIEF, "worker", "0"), ".task.index", "whole number"),
        (tf_config(CHIEF, "worker", 0.0), ".task.index", "whole number"),
        (tf_config(CHIEF, "worker", True), ".task.index", "whole number"),
        (tf_config(CHIEF, "worker", 10**5000), ".task.index", "has 2 of job 'worker'"),
        (tf_config(None, "chief", 0), ".task.type", "without a cluster"),
        (tf_config(None, "ps", 0), ".task.type", "without a cluster"),
        (tf_config(None, "worker", 1), ".task.index", "without a cluster it must be 0"),
        (tf_config(None, "evaluator", 1), ".task.index", "without a cluster it must be 0"),
        (tf_config(None, None, 1), ".task.index", "without a cluster it must be 0"),
    ],
)
def test_each_broken_rule_is_told_with_its_path_and_rule(source, path, rule):
    message = problem(source)
    assert message.startswith((f"TF_CONFIG{path} = ", f"TF_CONFIG{path} is missing: "))
    assert rule in message
    assert "; " in message


@pytest.mark.parametrize(
    "address",
    [
        "",
        "w",
        "w:",
        ":1",
        "w:0",
        "w:65536",
        "w:99999999",
        "w:-1",
        "w:x",
        "w:1 ",
        " w:1",
        "w:1\n",
        "w w:1",
        "grpc://w:1",
        "::1:80",
        "[::1]",
        "[w]:1",
        "[127.0.0.1]:1",
        "[]:1",
        "w:\u0661",
        "wörker:1",
        "-w:1",
    ],
)
def test_what_is_not_host_and_port_is_not_an_address(address):
    message = problem(tf_config({"chief": [address]}, "chief", 0))
    assert message.startswith(f"TF_CONFIG.cluster.chief[0] = {address!r}")


@pytest.mark.parametrize(
    ("wrong", "meant"), [("clsuter", "cluster"), ("Cluster", "cluster"), ("tsak", "task")]
)
def test_a_misspelt_key_is_refused_where_the_process_would_do_something_else(wrong, meant):
    whole = {"cluster": {"chief": ["a:1"], "worker": ["b:2"]}, "task": {"type": "worker", "index": 0}}
    given = {wrong if key == meant else key: value for key, value in whole.items()}
    with pytest.raises(ClusterError, match=rf"TF_CONFIG\.{wrong} = .*not known; did you mean '{meant}'"):
        parse_tf_config(given)


def test_unknown_keys_are_ignored_with_a_warning_that_knows_the_nearest(caplog):
    with caplog.at_level(logging.WARNING):
        task = parse_tf_config({**tf_config(CHIEF, "chief", 0), "enviroment": "cloud", "job": "x"})
    assert task.is_chief
    assert [r.getMessage() for r in caplog.records] == [
        "TF_CONFIG: the key 'enviroment' is not known and is ignored; did you mean 'environment'?",
        "TF_CONFIG: the key 'job' is not known and is ignored",
    ]


def test_known_keys_give_no_warning(caplog):
    with caplog.at_level(logging.WARNING):
        parse_tf_config(
            tf_config(
                CHIEF,
                "chief",
                0,
                environment="cloud",
                service={"a": 1},
                session_master="",
                eval_session_master="",
                model_dir="/m",
                rpc_layer="grpc",
            )
        )
    assert caplog.records == []


def test_every_fault_that_does_not_follow_from_another_is_told():
    cluster = {"chief": ["a:0"], "wroker": ["w:1"], "worker": ["b:2", "b:2", "c"], "ps": "d:1"}
    source = {"cluster": cluster, "task": {"type": "nobody"}, "environment": 3}
    assert [str(fault).partition(": ")[0] for fault in tf_config_faults(source)] == [
        "TF_CONFIG.environment = 3",
        "TF_CONFIG.cluster.chief[0] = 'a:0'",
        "TF_CONFIG.cluster.wroker = ['w:1']",
        "TF_CONFIG.cluster.worker[1] = 'b:2'",
        "TF_CONFIG.cluster.worker[2] = 'c'",
        "TF_CONFIG.cluster.ps = 'd:1'",
    ]
    (fault,) = tf_config_faults({"cluster": {"chief": ["a:1"]}, "task": {"type": "nobody", "index": 0}})
    assert str(fault).startswith("TF_CONFIG.task.type = 'nobody': the cluster has no such job")
    assert tf_config_faults(None) == []


MANY = settings(max_examples=2500)  # of four tests: 10,000 in all

_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("w0:1"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
_VALID = st.sampled_from(
    [
        tf_config(CHIEF, "worker", 1, environment="cloud", service={"a": [1]}, model_dir="/m"),
        tf_config({**CHIEF, "evaluator": ["e:1"]}, "evaluator", 0, rpc_layer="grpc"),
        tf_config(MASTER, "ps", 0, session_master="s"),
        tf_config({"worker": ["a:1", "[::1]:2"]}, "worker", 0),
        tf_config(None, "worker", 0),
    ]
)


def places(value, path=()):
    yield path
    for key, inner in (
        value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ())
    ):
        yield from places(inner, (*path, key))


@st.composite
def mutated(draw):
    config = copy.deepcopy(draw(_VALID))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(places(config))))
        holder = config
        for key in path[:-1]:
            holder = holder[key]
        if not path:
            config[draw(st.text(max_size=8) | st.sampled_from(["cluster", "task", "service"]))] = draw(_ANY)
        elif draw(st.booleans()):
            del holder[path[-1]]
        else:
            holder[path[-1]] = draw(_ANY)
    return config


def raises_nothing_else(source):
    message = None
    try:
        task = parse_tf_config(source)
    except ClusterError as error:
        message = str(error)
    if message is None:
        assert isinstance(task.master, str)
        assert hash(task) == hash(copy.deepcopy(task))
        assert tf_config_faults(source) == []
    else:
        faults = [str(fault) for fault in tf_config_faults(source)]
        assert message in faults
        assert len(set(faults)) == len(faults)
        assert len(message.splitlines()) == 1
        assert message.startswith("TF_CONFIG")
        assert len(message) < 1000


@MANY
@given(_ANY)
def test_any_json_gives_a_task_or_a_cluster_error_of_one_line(value):
    raises_nothing_else(json.dumps(value))


@MANY
@given(mutated())
def test_a_valid_config_with_changes_gives_a_task_or_a_cluster_error_of_one_line(config):
    raises_nothing_else(config)
    raises_nothing_else(json.dumps(config))


@MANY
@given(st.text())
@example("\udcff{}")
@example('{"cluster": {"\u2028": 1}}')
def test_any_text_gives_a_task_or_a_cluster_error_of_one_line(text):
    raises_nothing_else(text)


@MANY
@given(_VALID, st.data())
def test_a_text_cut_or_changed_anywhere_gives_a_task_or_a_cluster_error(config, data):
    text = json.dumps(config)
    at = data.draw(st.integers(0, len(text)))
    raises_nothing_else(text[:at])
    raises_nothing_else(text[:at] + data.draw(st.characters()) + text[at + 1 :])
