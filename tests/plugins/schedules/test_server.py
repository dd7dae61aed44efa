"""TensorFlow's server: the rule for starting one."""

from __future__ import annotations

import pytest

from expcore import serving
from expcore.cluster import RunConfig, parse_tf_config
from expcore.errors import InvalidArgument, ServerUnavailable
from expcore_plugins.schedules import server
from expcore_plugins.schedules.server import start_server

NEAR = {"chief": ["127.0.0.1:2222"], "ps": ["localhost:2223", "[::1]:2224"]}
FAR = {"chief": ["10.0.0.1:2222"], "ps": ["10.0.0.2:2223", "127.0.0.1:2224"]}


def config(cluster, kind="ps", index=0):
    found = {"cluster": cluster, "task": {"type": kind, "index": index}}
    return RunConfig(model_dir="model", task=parse_tf_config(found))


@pytest.fixture
def started(monkeypatch):
    """What would have been started, on a machine that has another interface up."""
    calls = []
    monkeypatch.delenv(serving.ALLOW, raising=False)
    monkeypatch.setattr(serving, "other_interfaces", lambda: ["eth0", "wlan0"])
    monkeypatch.setattr(serving, "listening", lambda port: [f"0.0.0.0:{port}"])
    monkeypatch.setattr(server, "_start", lambda *call: calls.append(call) or "the server")
    return calls


# --- the rule --------------------------------------------------------------------------------------------


def test_a_cluster_of_other_addresses_was_asked_for_and_is_warned_of_with_what_is_open(started, caplog):
    assert start_server(config(FAR)) == "the server"
    assert started == [(FAR, "ps", 0, "10.0.0.2:2223")]
    (line,) = [r.message for r in caplog.records]
    assert "server of ps 0 takes any command from anybody who reaches it, on 0.0.0.0:2223" in line


def test_where_the_system_does_not_say_what_is_open_every_interface_is(started, caplog, monkeypatch):
    monkeypatch.setattr(serving, "listening", lambda port: [])
    start_server(config(FAR, "ps", 1))
    assert "on port 2224 of every interface" in caplog.text


def test_a_cluster_of_loopback_addresses_would_be_open_by_surprise_and_is_refused(started):
    with pytest.raises(
        ServerUnavailable, match=r"'localhost:2223'.*\(eth0, wlan0 too\).*--allow-server"
    ) as caught:
        start_server(config(NEAR))
    assert caught.value.exit_code == 69
    assert started == []


def test_with_no_other_interface_up_it_is_allowed_and_nobody_is_warned(started, monkeypatch, caplog):
    monkeypatch.setattr(serving, "other_interfaces", list)
    with caplog.at_level("INFO"):
        assert start_server(config(NEAR, "ps", 1)) == "the server"
    (record,) = caplog.records
    assert record.levelname == "INFO"
    assert (
        "server of ps 1 can be reached from this network namespace alone, on 0.0.0.0:2224" in record.message
    )
    assert started[0][3] == "[::1]:2224"


@pytest.mark.parametrize(("said", "allowed"), [("1", True), ("0", False), ("", False), ("yes", False)])
def test_the_environment_can_allow_it_in_one_way(started, monkeypatch, said, allowed):
    monkeypatch.setenv(serving.ALLOW, said)
    if allowed:
        start_server(config(NEAR))
    else:
        with pytest.raises(ServerUnavailable):
            start_server(config(NEAR))
    assert len(started) == allowed
    assert serving.ALLOW == "EXPCORE_ALLOW_SERVER"


class Foreign:
    cluster_spec = FAR
    task_type = "ps"
    task_id = 0
    master = "grpc://10.0.0.2:2223"


@pytest.mark.parametrize(
    ("name", "value"), [("cluster_spec", {}), ("cluster_spec", None), ("task_type", None), ("master", "")]
)
def test_a_config_that_lacks_something_is_told_what(started, name, value):
    lacking = Foreign()
    setattr(lacking, name, value)
    with pytest.raises(InvalidArgument, match=f"the config lacks '{name}': .* TF_CONFIG") as caught:
        start_server(lacking)
    assert isinstance(caught.value, ValueError)
    assert started == []


def test_all_that_is_missing_is_told_together_and_a_foreign_config_will_do(started):
    with pytest.raises(InvalidArgument, match="lacks 'cluster_spec', 'task_type', 'master'"):
        start_server(None)
    start_server(Foreign())
    assert len(started) == 1
