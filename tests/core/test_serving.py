"""What the system says of interfaces, and of what is listened on."""

from __future__ import annotations

import socket

from expcore import serving
from expcore.serving import listening, other_interfaces


def test_other_interfaces_are_those_that_are_up_but_loopback(monkeypatch):
    up, loopback, running = 0x1, 0x8, 0x40
    found = [("lo", up | loopback), ("wlan0", up | running), ("docker0", up), ("eth1", running)]
    monkeypatch.setattr(serving, "interfaces", lambda: iter(found))
    assert other_interfaces() == ["docker0", "wlan0"]


def test_the_interfaces_are_those_of_this_namespace():
    found = dict(serving.interfaces())
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
