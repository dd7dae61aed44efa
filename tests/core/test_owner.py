"""Owners: which process it was, and whether it still lives."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from expcore import owner as owner_module
from expcore.owner import Owner

ENDED = 2**22 - 1  # Linux gives no higher number; this one is all but never in use


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def owner_of(pid: int) -> Owner:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return replace(Owner.current(), pid=pid, started=int(fields[19]))


def test_the_current_owner_is_this_process_and_lives():
    current = Owner.current()
    assert (current.host, current.pid) == (socket.gethostname(), os.getpid())
    assert current.started > 0
    assert current.boot.startswith(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    assert current == Owner.current()
    assert current.alive() is True


def test_an_owner_is_read_back_from_json_data_also_where_numbers_became_text():
    current = Owner.current()
    assert Owner.from_dict(current.to_dict()) == current
    assert Owner.from_dict({k: str(v) for k, v in current.to_dict().items()}) == current
    assert set(current.to_dict()) == {"host", "boot", "pid", "started"}


GOOD = {"host": "h", "boot": "b", "pid": 1, "started": 2}


@pytest.mark.parametrize(
    "value",
    [
        *(None, 3, "text", [], {}),
        *({k: v for k, v in GOOD.items() if k != left_out} for left_out in GOOD),
        *(GOOD | {"pid": pid} for pid in (0, -1, 2**31, "x", None, float("inf"), float("nan"))),
        GOOD | {"started": "x"},
    ],
)
def test_anything_else_is_no_owner(value):
    assert Owner.from_dict(GOOD) == Owner("h", "b", 1, 2)
    assert Owner.from_dict(value) is None


def test_another_process_lives_until_it_ends_and_no_longer_though_nobody_has_waited_for_it(child):
    owner = owner_of(child.pid)
    assert owner.alive() is True
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # ended, and left as it is
    assert Path(f"/proc/{child.pid}").exists()
    assert owner.alive() is False
    child.wait()
    assert owner.alive() is False


def test_a_number_that_was_given_to_another_process_is_not_the_owner(child):
    owner = owner_of(child.pid)
    assert replace(owner, started=owner.started - 1).alive() is False
    assert replace(owner, started=0).alive() is True  # where the start is not known, the number must do


def test_an_owner_of_an_earlier_boot_is_dead_whatever_its_number():
    assert replace(Owner.current(), boot="another-boot").alive() is False


def test_nothing_is_known_of_another_machine_or_another_container_of_this_one():
    current = Owner.current()
    assert replace(current, host=f"not-{current.host}").alive() is None
    assert replace(current, host=f"not-{current.host}", boot="another-boot").alive() is None
    boot, _, container = current.boot.partition(".")
    assert container
    assert replace(current, boot=f"{boot}.1{container}").alive() is None
    assert replace(current, boot=f"another.{container}").alive() is False


def test_somebody_elses_process_lives_if_it_started_then(child, monkeypatch):
    owner = owner_of(child.pid)

    def refuse(pid: int, signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert owner.alive() is True
    assert replace(owner, started=owner.started + 1).alive() is False
    # Where the system hides the processes of others, that it is there is all that can be known.
    monkeypatch.setattr(owner_module, "_stat", lambda pid: [])
    assert owner.alive() is True


def test_a_system_that_tells_nothing_about_processes_will_do(monkeypatch, tmp_path):
    monkeypatch.setattr(owner_module, "_BOOT_ID", tmp_path / "none")
    monkeypatch.setattr(owner_module, "_stat", lambda pid: [])
    current = Owner.current()
    assert (current.boot, current.started) == ("", 0)
    assert current.alive() is True
    assert replace(current, pid=ENDED).alive() is False


def test_a_command_may_have_any_name(child, monkeypatch):
    owner, read = owner_of(child.pid), Path.read_text

    def odd(path: Path, **how: Any) -> str:
        text = read(path, **how)
        return text.replace("(python", "(a) Z (1 2) 3", 1) if path.name == "stat" else text

    monkeypatch.setattr(Path, "read_text", odd)
    assert "(a) Z (1 2) 3" in Path(f"/proc/{child.pid}/stat").read_text()
    assert owner.alive() is True
