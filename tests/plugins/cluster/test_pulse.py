"""Who does not answer any more is lost after some time, and nobody waits for it for ever."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

import pytest

from expcore.errors import PeerLost
from expcore.launch.shape import free_ports
from expcore.testing import VirtualClock
from expcore_plugins.estimators.engine import pulse as module
from expcore_plugins.estimators.engine.pulse import Answer, Pulse, answer_of

SERVERS, WORKERS = {"ps 0": "p0:1", "ps 1": "p1:1"}, {"worker 0": "w0:1", "worker 1": "w1:1"}


class Cluster:
    """Servers that behave as they are told, looked at every five seconds of virtual time."""

    def __init__(self, patience=600.0):
        self.clock, self.behave = VirtualClock(), {}
        self.pulse = Pulse(SERVERS, WORKERS, patience, self.clock, lambda a: self.behave.get(a, Answer.ALIVE))

    def pass_secs(self, secs, *, working=False):
        for _ in range(int(secs / 5)):
            self.clock.sleep(5)
            if working:
                self.pulse.worked()
            self.pulse.look()


@pytest.mark.parametrize("how", [Answer.SILENT, Answer.GONE])
def test_a_parameter_server_is_lost_after_half_a_minute(how):
    cluster = Cluster()
    cluster.behave["p1:1"] = how
    cluster.pass_secs(30, working=True)
    cluster.pulse.check()
    cluster.pass_secs(10, working=True)
    with pytest.raises(PeerLost, match=f"ps 1 at p1:1 is lost: {how.value}, for 3[05] seconds"):
        cluster.pulse.check()


def test_a_network_that_comes_back_loses_nobody():
    cluster = Cluster()
    for _ in range(5):
        cluster.behave = dict.fromkeys([*SERVERS.values(), *WORKERS.values()], Answer.SILENT)
        cluster.pass_secs(25)
        cluster.behave = {}
        cluster.pass_secs(5)
    cluster.pulse.check()


def test_a_worker_that_stands_still_is_lost_if_no_work_is_done():
    cluster = Cluster()
    cluster.behave["w0:1"] = Answer.SILENT
    cluster.pass_secs(1000, working=True)  # the other does it all
    cluster.pulse.check()
    cluster.pass_secs(125)
    with pytest.raises(PeerLost, match=r"worker 0 at w0:1 is lost: it does not answer, for 12\d seconds"):
        cluster.pulse.check()


def test_a_worker_that_is_gone_may_come_back():
    cluster = Cluster()
    cluster.behave["w0:1"] = Answer.GONE
    cluster.pass_secs(5000)
    cluster.pulse.check()


@pytest.mark.parametrize("patience", [600.0, None])
def test_all_workers_may_be_gone_for_as_long_as_one_waits_at_the_start(patience):
    cluster = Cluster(patience)
    cluster.behave = dict.fromkeys(WORKERS.values(), Answer.GONE)
    cluster.pass_secs(595)
    cluster.pulse.check()
    cluster.pass_secs(20)
    if patience is None:
        cluster.pulse.check()
    else:
        with pytest.raises(PeerLost, match=r"no worker has answered for 6\d\d seconds"):
            cluster.pulse.check()


def test_servers_that_speak_live_and_others_do_not():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"

        def speak():
            with suppress(OSError):
                connection, _ = server.accept()
                connection.sendall(b"\x00\x00\x18\x04\x00\x00\x00\x00\x00")
                connection.close()

        thread = threading.Thread(target=speak)
        thread.start()
        assert answer_of(address) is Answer.ALIVE
        thread.join()
    assert answer_of(f"127.0.0.1:{free_ports(1)[0]}") is Answer.GONE


def test_who_takes_a_connection_and_says_nothing_is_silent(monkeypatch):
    monkeypatch.setattr(module, "_ANSWER_SECS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as server:  # the system accepts for a process that is stopped
        assert answer_of(f"127.0.0.1:{server.getsockname()[1]}") is Answer.SILENT


def test_an_operation_that_nothing_can_interrupt_is_ended_with_its_process(monkeypatch, caplog):
    monkeypatch.setattr(module, "_LOOK_SECS", 0.01)
    monkeypatch.setattr(module, "_GRACE_SECS", 0.01)
    cluster, ended = Cluster(), threading.Event()
    cluster.behave["p0:1"] = Answer.SILENT
    codes = []

    def end(code):
        codes.append(code)
        ended.set()

    with cluster.pulse.felt(end):
        cluster.pass_secs(40)
        assert ended.wait(20)
    assert codes == [138]
    assert "ps 0 at p0:1 is lost" in caplog.text


def test_who_leaves_in_time_is_not_ended(monkeypatch):
    monkeypatch.setattr(module, "_LOOK_SECS", 0.01)
    cluster, codes = Cluster(), []
    cluster.behave["p0:1"] = Answer.SILENT
    with cluster.pulse.felt(codes.append):
        cluster.pass_secs(40)
    for thread in threading.enumerate():
        if thread.name == "expcore-pulse":
            thread.join(20)
    assert codes == []
