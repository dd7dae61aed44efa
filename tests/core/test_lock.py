"""The lock of the trainer: one a model directory, let go when its process ends however it ends."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from expcore.errors import EXIT_LOCKED, CannotWrite, Locked
from expcore.owner import Owner
from expcore.passes.lock import trainer_lock

HOLDER = """
import sys
from expcore.passes.lock import trainer_lock
with trainer_lock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""

FORKING = """
import os, sys
from expcore.passes.lock import trainer_lock
with trainer_lock(sys.argv[1]):
    if os.fork():
        os.wait()
    sys.stdout.write("held\\n")
    sys.stdout.flush()
    sys.stdin.read()
    print("the worker lived", flush=True)
"""


def test_a_second_process_is_refused_with_the_first_ones_number_until_that_is_killed(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout.readline() == b"held\n"
        with (
            pytest.raises(
                Locked, match=rf"process {holder.pid} on .* is training in it; only one may"
            ) as caught,
            trainer_lock(str(tmp_path)),
        ):
            pytest.fail("two hold the lock")
        assert repr(str(tmp_path)) in str(caught.value)
        assert caught.value.exit_code == EXIT_LOCKED
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with trainer_lock(str(tmp_path)):
            pass
    finally:
        holder.kill()
        holder.communicate()


def test_a_second_trainer_of_the_same_process_is_refused_too(tmp_path):
    with (
        trainer_lock(str(tmp_path)),
        pytest.raises(Locked, match=f"process {os.getpid()} on"),
        trainer_lock(str(tmp_path)),
    ):
        pytest.fail("two hold the lock")


def test_a_worker_that_was_forked_while_training_does_not_hold_the_lock(tmp_path):
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    holder = subprocess.Popen([sys.executable, "-c", FORKING, str(tmp_path)], **pipes)
    try:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(Locked, match=f"process {holder.pid} on"), trainer_lock(str(tmp_path)):
            pytest.fail("two hold the lock")
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with trainer_lock(str(tmp_path)):
            pass
    finally:
        holder.kill()
        output = holder.communicate()  # ends the worker
    assert output == (b"the worker lived\n", b"")


def test_the_lock_is_let_go_at_the_end_and_after_an_error(tmp_path):
    for _ in range(2):
        with pytest.raises(KeyError), trainer_lock(str(tmp_path)):
            raise KeyError
    with trainer_lock(str(tmp_path)), trainer_lock(str(tmp_path / "another")):
        pass


def test_the_directory_and_the_file_are_made_and_hold_the_owner_and_nothing_of_older_ones(tmp_path):
    path = tmp_path / "new" / "dir" / "expcore" / "lock"
    for _ in range(2):
        with trainer_lock(str(tmp_path / "new" / "dir")):
            assert Owner.from_dict(json.loads(path.read_text())) == Owner.current()
        path.write_text("x" * 1000)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b"[1]"])
def test_a_holder_that_has_not_written_its_name_is_another_process(tmp_path, content):
    with trainer_lock(str(tmp_path)):
        (tmp_path / "expcore" / "lock").write_bytes(content)
        with pytest.raises(Locked, match="another process is training"), trainer_lock(str(tmp_path)):
            pytest.fail("two hold the lock")


def test_a_directory_in_which_no_lock_can_be_made_is_an_error_with_the_path(tmp_path):
    (tmp_path / "expcore").write_text("a file in the way")
    with (
        pytest.raises(CannotWrite, match=r"expcore/lock: the lock cannot be made"),
        trainer_lock(str(tmp_path)),
    ):
        pytest.fail("entered")


def test_a_full_disk_is_an_error_and_leaves_nothing_locked(tmp_path, monkeypatch):
    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(CannotWrite, match="No space left"), trainer_lock(str(tmp_path)):
            pytest.fail("entered")
    with trainer_lock(str(tmp_path)):
        pass


def test_a_file_system_without_locks_is_warned_of_and_trains_all_the_same(tmp_path, monkeypatch, caplog):
    def unsupported(file: int, how: int) -> None:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with trainer_lock(str(tmp_path)), trainer_lock(str(tmp_path)):
        pass
    assert "has no locks" in caplog.text
    assert str(Path("expcore", "lock")) in caplog.text


def test_a_network_file_system_may_refuse_in_its_own_way(tmp_path, monkeypatch):
    def denied(file: int, how: int) -> None:
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(fcntl, "flock", denied)
    with pytest.raises(Locked), trainer_lock(str(tmp_path)):
        pytest.fail("entered")
