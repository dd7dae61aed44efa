"""Pins: what is being read is not deleted, and what the dead have left does not count for long."""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from expcore import pins as module
from expcore.owner import Owner
from expcore.pins import EXPIRY_SECS, RENEW_SECS, Pins, pinned
from expcore.testing.clock import VirtualClock


def folder(path: Path) -> Path:
    return path / "expcore" / "pins"


def files(path: Path) -> list[Path]:
    return sorted(f for f in folder(path).glob("*") if f.name != "lock")


def names(path: Path) -> set[str]:
    return Pins(str(path), VirtualClock()).checkpoints()


@contextmanager
def elsewhere(monkeypatch: Any, **changes: Any) -> Any:
    """What is pinned meanwhile is pinned by a process of another machine."""
    owner = replace(Owner.current(), **(changes or {"host": "another"}))
    with monkeypatch.context() as patch:
        patch.setattr(Owner, "current", classmethod(lambda cls: owner))
        yield


class Trainer:
    """Who deletes, by a clock of its own."""

    def __init__(self, path: Path, start: float = 0.0) -> None:
        self.clock = VirtualClock(start)
        self.pins = Pins(str(path), self.clock)

    def after(self, secs: float) -> set[str]:
        self.clock.sleep(secs)
        return self.pins.checkpoints()


# --- what is pinned, and for how long --------------------------------------------------------------------


def test_a_checkpoint_is_pinned_exactly_while_it_is_read(tmp_path):
    trainer = Trainer(tmp_path)
    with pinned(str(tmp_path), str(tmp_path / "ckpt-5")):
        assert trainer.after(0) == {"ckpt-5"}
        assert trainer.after(10 * EXPIRY_SECS) == {"ckpt-5"}, "its process lives"
    assert trainer.after(0) == set()
    assert files(tmp_path) == []


def test_an_error_ends_the_pin_and_goes_through(tmp_path):
    def fail() -> None:
        assert names(tmp_path) == {"ckpt-5"}
        raise KeyError("boom")

    with pytest.raises(KeyError, match="boom"), pinned(str(tmp_path), str(tmp_path / "ckpt-5")):
        fail()
    assert files(tmp_path) == []


def test_several_may_pin_one_checkpoint_and_others(tmp_path, monkeypatch):
    with ExitStack() as first, ExitStack() as second:
        first.enter_context(pinned(str(tmp_path), str(tmp_path / "ckpt-5")))
        second.enter_context(pinned(str(tmp_path), str(tmp_path / "ckpt-5")))
        with elsewhere(monkeypatch):
            second.enter_context(pinned(str(tmp_path), str(tmp_path / "ckpt-7")))
        assert names(tmp_path) == {"ckpt-5", "ckpt-7"}
        second.close()
        assert names(tmp_path) == {"ckpt-5"}
        first.close()
        assert names(tmp_path) == set()


def test_many_threads_pin_at_once(tmp_path):
    start, go = threading.Barrier(9), threading.Event()

    def read(n: int) -> None:
        with pinned(str(tmp_path), str(tmp_path / f"ckpt-{n % 2}")):
            start.wait(30)
            go.wait(30)

    threads = [threading.Thread(target=read, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    start.wait(30)
    assert (names(tmp_path), len(files(tmp_path))) == ({"ckpt-0", "ckpt-1"}, 8)
    go.set()
    for thread in threads:
        thread.join()
    assert files(tmp_path) == []


@pytest.mark.parametrize("there", [True, False])
def test_whether_the_checkpoint_is_there_is_not_looked_at(tmp_path, there):
    if there:
        (tmp_path / "ckpt-5").write_text("")
    with pinned(str(tmp_path), str(tmp_path / "ckpt-5")):
        assert names(tmp_path) == {"ckpt-5"}


def test_nothing_is_done_for_no_checkpoint_or_one_of_another_directory(tmp_path):
    model = tmp_path / "model"
    for path in (None, str(tmp_path / "ckpt-5"), str(tmp_path / "model2" / "ckpt-5"), "memory://5"):
        with pinned(str(model), path):
            assert not model.exists()


def test_names_are_relative_to_the_directory_however_it_is_reached(tmp_path, monkeypatch):
    model = tmp_path / "model"
    (model / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(model)
    monkeypatch.chdir(tmp_path)
    for directory in (str(model), "model", "./model/", "link"):
        for path in (str(model / "ckpt-5"), "model/ckpt-5", "link/ckpt-5/", "model/deep/../ckpt-5"):
            with pinned(directory, path):
                assert names(model) == {"ckpt-5"}
    with pinned("model", "link/deep/ckpt-5"):
        assert names(model) == {"deep/ckpt-5"}
    monkeypatch.chdir(model)
    with pinned(".", "ckpt-5"), pinned(str(model), "..ckpt"):
        assert names(model) == {"ckpt-5", "..ckpt"}


# --- the dead ---------------------------------------------------------------------------------------------


def test_a_process_of_this_machine_that_has_ended_pins_nothing_and_its_file_goes(tmp_path):
    script = (
        "import sys; from expcore.pins import pinned\n"
        "with pinned(sys.argv[1], sys.argv[1] + '/ckpt-5'):\n"
        "    print('pinned', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    trainer = Trainer(tmp_path)
    try:
        assert child.stdout.readline() == b"pinned\n"
        assert trainer.after(10 * EXPIRY_SECS) == {"ckpt-5"}
        assert trainer.after(10 * EXPIRY_SECS) == {"ckpt-5"}
    finally:
        child.kill()
        child.communicate()
    assert len(files(tmp_path)) == 1
    assert trainer.after(0) == set()
    assert files(tmp_path) == []


@pytest.mark.parametrize("where", [{"host": "another"}, {"boot": Owner.current().boot + "1"}])
def test_an_unchanged_pin_of_another_machine_or_container_expires_by_the_watchers_own_clock(
    tmp_path, monkeypatch, where
):
    early, late = Trainer(tmp_path), Trainer(tmp_path, start=9e9)
    with elsewhere(monkeypatch, **where):
        pin = pinned(str(tmp_path), str(tmp_path / "ckpt-5"))
        pin.__enter__()
    os.utime(files(tmp_path)[0], (0, 0))  # times of files say nothing
    assert early.after(0) == {"ckpt-5"}
    assert early.after(EXPIRY_SECS - 1) == {"ckpt-5"}
    assert late.after(0) == {"ckpt-5"}, "each watches for itself"
    assert early.after(1) == set()
    assert files(tmp_path) == []
    pin.__exit__(None, None, None)


def test_a_pin_of_another_machine_that_is_renewed_counts_on(tmp_path, monkeypatch):
    assert RENEW_SECS * 5 <= EXPIRY_SECS
    monkeypatch.setattr(module, "RENEW_SECS", 0.001)
    trainer = Trainer(tmp_path)
    with elsewhere(monkeypatch), pinned(str(tmp_path), str(tmp_path / "ckpt-5")):
        for _ in range(5):
            before = files(tmp_path)[0].read_text()
            assert trainer.after(EXPIRY_SECS) == {"ckpt-5"}
            until_changed(tmp_path, before)
    assert files(tmp_path) == []
    assert not [t for t in threading.enumerate() if t.name == "expcore-pin"]


def until_changed(path: Path, before: str) -> None:
    tick = threading.Event()
    for _ in range(10_000):
        if all(f.read_text() != before for f in folder(path).glob("*.json")):
            return
        tick.wait(0.001)
    raise AssertionError("the pin was not renewed")


def test_one_that_expired_while_its_process_was_only_stopped_is_there_again(tmp_path, monkeypatch):
    with elsewhere(monkeypatch):
        pin = module._Pin(folder(tmp_path), "ckpt-5")
    pin.make()
    trainer = Trainer(tmp_path)
    trainer.after(0)
    assert trainer.after(EXPIRY_SECS) == set()
    pin._write()
    assert trainer.after(0) == {"ckpt-5"}
    pin.remove()
    assert files(tmp_path) == []


def test_a_pin_that_cannot_be_renewed_is_told_and_is_renewed_later(tmp_path, monkeypatch, caplog):
    failed = threading.Event()

    def refuse(source: Any, target: Any) -> None:
        failed.set()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "RENEW_SECS", 0.001)
    with pinned(str(tmp_path), str(tmp_path / "ckpt-5")):
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", refuse)
            assert failed.wait(10)
            assert names(tmp_path) == {"ckpt-5"}
            before = next(folder(tmp_path).glob("*.json")).read_text()
        until_changed(tmp_path, before)
    assert "cannot be renewed" in caplog.text
    assert files(tmp_path) == []


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff", b'{"checkpoint": 3}', b'{"checkpoint": "x'])
def test_what_cannot_be_understood_pins_nothing_and_goes_once_it_has_been_watched(tmp_path, content):
    folder(tmp_path).mkdir(parents=True)
    (folder(tmp_path) / "a.json").write_bytes(content)
    trainer = Trainer(tmp_path)
    assert [trainer.after(0), trainer.after(EXPIRY_SECS - 1)] == [set(), set()]
    assert len(files(tmp_path)) == 1
    assert trainer.after(1) == set()
    assert files(tmp_path) == []


def test_one_that_does_not_say_whose_it_is_counts_until_it_expires(tmp_path):
    folder(tmp_path).mkdir(parents=True)
    (folder(tmp_path) / "a.json").write_text(json.dumps({"checkpoint": "ckpt-5", "owner": 3}))
    trainer = Trainer(tmp_path)
    assert [trainer.after(0), trainer.after(EXPIRY_SECS)] == [{"ckpt-5"}, set()]


def test_what_a_process_left_that_died_while_it_wrote_goes_as_well(tmp_path, monkeypatch):
    with pinned(str(tmp_path), str(tmp_path / "ckpt-5")):
        note = json.loads(files(tmp_path)[0].read_text())
    note["owner"]["boot"] = "earlier"
    (folder(tmp_path) / "b.tmp").write_text(json.dumps(note))
    assert names(tmp_path) == set()
    assert files(tmp_path) == []


def test_one_that_cannot_be_removed_counts_no_more_all_the_same(tmp_path, monkeypatch):
    with elsewhere(monkeypatch, boot="earlier"):
        pin = pinned(str(tmp_path), str(tmp_path / "ckpt-5"))
        pin.__enter__()

    def refuse(path: Path, **how: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        assert names(tmp_path) == set()
        assert len(files(tmp_path)) == 1
    pin.__exit__(None, None, None)


def test_the_lock_is_no_pin_and_stays(tmp_path):
    trainer = Trainer(tmp_path)
    with pinned(str(tmp_path), str(tmp_path / "ckpt-5")):
        for _ in range(3):
            trainer.after(EXPIRY_SECS)
    assert (folder(tmp_path) / "lock").exists()


def test_a_pin_that_is_just_being_renewed_does_not_outlast_the_reading(tmp_path, monkeypatch):
    replaced, renewing = os.replace, threading.Event()

    def slow(source: Any, target: Any) -> None:
        if threading.current_thread().name == "expcore-pin":
            renewing.set()
            threading.Event().wait(0.05)
        replaced(source, target)

    monkeypatch.setattr(module, "RENEW_SECS", 0.001)
    monkeypatch.setattr(os, "replace", slow)
    with pinned(str(tmp_path), str(tmp_path / "ckpt-5")):
        assert renewing.wait(10)
    for thread in threading.enumerate():
        if thread.name == "expcore-pin":
            thread.join()
    assert files(tmp_path) == []


# --- directories that refuse ------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["expcore", "expcore/pins"])
def test_where_no_pin_can_be_written_one_line_says_so_and_reading_goes_on(tmp_path, caplog, where):
    (tmp_path / where).parent.mkdir(exist_ok=True)
    (tmp_path / where).write_text("a file in the way")
    with pinned(str(tmp_path), str(tmp_path / "ckpt-5")):
        pass
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert f"checkpoint {tmp_path}/ckpt-5 is not pinned while it is read" in record.getMessage()
    assert names(tmp_path) == set()


def test_a_full_disk_leaves_no_half_a_pin(tmp_path, monkeypatch, caplog):
    def full(path: Path, text: str) -> None:
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        with pinned(str(tmp_path), str(tmp_path / "ckpt-5")):
            assert files(tmp_path) == []
    assert "No space left on device" in caplog.text


def test_a_pin_that_cannot_be_removed_is_told_and_the_reading_was_done(tmp_path, monkeypatch, caplog):
    def refuse(path: Path, **how: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch, pinned(str(tmp_path), str(tmp_path / "ckpt-5")):
        patch.setattr(Path, "unlink", refuse)
    assert "cannot be removed: [Errno 13]" in caplog.text


def test_pins_that_cannot_be_listed_are_told(tmp_path, monkeypatch, caplog):
    def refuse(path: Any) -> list[str]:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "listdir", refuse)
    assert names(tmp_path) == set()
    assert "cannot be looked at" in caplog.text


def test_where_nobody_ever_pinned_there_is_nothing_and_nothing_is_made(tmp_path):
    pins = Pins(str(tmp_path / "model"), VirtualClock())
    assert pins.checkpoints() == set()
    with pins.hold() as held:
        assert held == set()
    assert not (tmp_path / "model").exists()
    (tmp_path / "model").mkdir()
    with pins.hold() as held:
        assert held == set()
    assert list((tmp_path / "model").iterdir()) == []


# --- deleting ---------------------------------------------------------------------------------------------


def test_while_somebody_deletes_nobody_pins_and_who_waited_finds_it_gone(tmp_path):
    checkpoint = tmp_path / "ckpt-5"
    checkpoint.write_text("weights")
    (tmp_path / "expcore").mkdir()
    found: list[bool] = []

    def read() -> None:
        with pinned(str(tmp_path), str(checkpoint)):
            found.append(checkpoint.exists())

    reader = threading.Thread(target=read)
    with Pins(str(tmp_path), VirtualClock()).hold() as held:
        reader.start()
        reader.join(0.05)
        assert (held, found) == (set(), []), "it waits"
        checkpoint.unlink()
    reader.join()
    assert found == [False]


def test_what_was_pinned_before_is_named_to_who_deletes(tmp_path):
    trainer = Trainer(tmp_path)
    with pinned(str(tmp_path), str(tmp_path / "ckpt-5")), trainer.pins.hold() as held:
        assert held == {"ckpt-5"}
    with trainer.pins.hold() as held:
        assert held == set()


def test_an_error_of_who_deletes_keeps_nobody_waiting(tmp_path):
    (tmp_path / "expcore").mkdir()
    with pytest.raises(OSError, match="boom"), Pins(str(tmp_path), VirtualClock()).hold():
        raise OSError("boom")
    with pinned(str(tmp_path), str(tmp_path / "ckpt-5")):
        assert names(tmp_path) == {"ckpt-5"}


def test_it_remembers_what_it_has_watched_from_one_deletion_to_the_next(tmp_path, monkeypatch):
    trainer, seen = Trainer(tmp_path), []
    with elsewhere(monkeypatch):
        pin = pinned(str(tmp_path), str(tmp_path / "ckpt-5"))
        pin.__enter__()
    for secs in (0, EXPIRY_SECS / 2, EXPIRY_SECS / 2):
        trainer.clock.sleep(secs)
        with trainer.pins.hold() as held:
            seen.append(held)
    assert seen == [{"ckpt-5"}, {"ckpt-5"}, set()]
    pin.__exit__(None, None, None)


def test_a_file_system_without_locks_or_a_lock_of_another_user_will_do(tmp_path, monkeypatch):
    def unsupported(file: int, how: int) -> None:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", unsupported)
        with pinned(str(tmp_path), str(tmp_path / "ckpt-5")), Trainer(tmp_path).pins.hold() as held:
            assert held == {"ckpt-5"}
    (folder(tmp_path) / "lock").unlink()
    (folder(tmp_path) / "lock").mkdir()  # nobody can open this one
    with pinned(str(tmp_path), str(tmp_path / "ckpt-5")), Trainer(tmp_path).pins.hold() as held:
        assert held == {"ckpt-5"}
