"""TensorFlow's server: the rule for starting one, and what the system says is open."""

from __future__ import annotations

import socket

import pytest

from expcore.cluster import RunConfig, parse_tf_config
from expcore.errors import InvalidArgument, ServerUnavailable
from expcore_plugins.schedules import server
from expcore_plugins.schedules.server import listening, other_interfaces, start_server

NEAR = {"chief": ["127.0.0.1:2222"], "ps": ["localhost:2223", "[::1]:2224"]}
FAR = {"chief": ["10.0.0.1:2222"], "ps": ["10.0.0.2:2223", "127.0.0.1:2224"]}


def config(cluster, kind="ps", index=0):
    found = {"cluster": cluster, "task": {"type": kind, "index": index}}
    return RunConfig(model_dir="model", task=parse_tf_config(found))


@pytest.fixture
def started(monkeypatch):
    """What would have been started, on a machine that has another interface up."""
    calls = []
    monkeypatch.delenv(server.ALLOW, raising=False)
    monkeypatch.setattr(server, "other_interfaces", lambda: ["eth0", "wlan0"])
    monkeypatch.setattr(server, "listening", lambda port: [f"0.0.0.0:{port}"])
    monkeypatch.setattr(server, "_start", lambda *call: calls.append(call) or "the server")
    return calls


# --- the rule --------------------------------------------------------------------------------------------


def test_a_cluster_of_other_addresses_was_asked_for_and_is_warned_of_with_what_is_open(started, caplog):
    assert start_server(config(FAR)) == "the server"
    assert started == [(FAR, "ps", 0, "10.0.0.2:2223")]
    (line,) = [r.message for r in caplog.records]
    assert "server of ps 0 takes any command from anybody who reaches it, on 0.0.0.0:2223" in line


def test_where_the_system_does_not_say_what_is_open_every_interface_is(started, caplog, monkeypatch):
    monkeypatch.setattr(server, "listening", lambda port: [])
    start_server(config(FAR, "ps", 1))
    assert "on port 2224 of every interface" in caplog.text


def test_a_cluster_of_loopback_addresses_would_be_open_by_surprise_and_is_refused(started):
    with pytest.raises(
        ServerUnavailable, match=r"'localhost:2223'.*\(eth0, wlan0 too\).*--allow-server"
    ) as caught:
        start_server(config(NEAR))
    assert caught.value.exit_code == 69
    assert started == []


def test_with_no_other_interface_up_it_is_allowed(started, monkeypatch):
    monkeypatch.setattr(server, "other_interfaces", list)
    assert start_server(config(NEAR, "ps", 1)) == "the server"
    assert started[0][3] == "[::1]:2224"


@pytest.mark.parametrize(("said", "allowed"), [("1", True), ("0", False), ("", False), ("yes", False)])
def test_the_environment_can_allow_it_in_one_way(started, monkeypatch, said, allowed):
    monkeypatch.setenv(server.ALLOW, said)
    if allowed:
        start_server(config(NEAR))
    else:
        with pytest.raises(ServerUnavailable):
            start_server(config(NEAR))
    assert len(started) == allowed
    assert server.ALLOW == "EXPCORE_ALLOW_SERVER"


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


# --- what the system says --------------------------------------------------------------------------------


def test_other_interfaces_are_those_that_are_up_but_loopback(monkeypatch):
    up, loopback, running = 0x1, 0x8, 0x40
    found = [("lo", up | loopback), ("wlan0", up | running), ("docker0", up), ("eth1", running)]
    monkeypatch.setattr(server, "interfaces", lambda: iter(found))
    assert other_interfaces() == ["docker0", "wlan0"]


def test_the_interfaces_are_those_of_this_namespace():
    found = dict(server.interfaces())
    assert found.keys() <= {name for _, name in socket.if_nameindex()}
    assert found["lo"] & 0x8


HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def row(n, address, state="0A"):
    return (
        f"   {n}: {address} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000  0  0 31 1 0 100\n"
    )


def test_addresses_listened_on_are_read_from_the_systems_tables(tmp_path):
    (tmp_path / "tcp").write_text(
        HEAD
        + row(0, "0100007F:08AE")
        + row(1, "00000000:08AE")
        + row(2, "0200000A:08AE", "01")
        + row(3, "0200000A:08AF")
    )
    (tmp_path / "tcp6").write_text(
        HEAD
        + row(0, "00000000000000000000000000000000:08AE")
        + row(1, "00000000000000000000000001000000:08AE")
        + row(2, "B80D01200000000000000000010000FE:08AE")
        + row(3, "0000000000000000FFFF00000100007F:08AE")
    )
    assert listening(2222, str(tmp_path)) == [
        "127.0.0.1:2222",
        "0.0.0.0:2222",
        "[::]:2222",
        "[::1]:2222",
        "[2001:db8::fe00:1]:2222",
        "[::ffff:127.0.0.1]:2222",
    ]
    assert listening(2223, str(tmp_path)) == ["10.0.0.2:2223"]
    assert listening(1, str(tmp_path)) == []


def test_without_the_systems_tables_nothing_is_known(tmp_path):
    assert listening(2222, str(tmp_path / "nothing")) == []
    (tmp_path / "tcp").write_text("")
    assert listening(2222, str(tmp_path)) == []
