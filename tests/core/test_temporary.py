"""Directories that are being written: checked before they are seen, swept when their writer died."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from expcore import temporary
from expcore.errors import PluginError
from expcore.owner import Owner
from expcore.publish import publish, versions
from expcore.testing.clock import VirtualClock


def write(directory):
    Path(directory, "model").write_text("whole")
    Path(directory, "assets").mkdir()
    Path(directory, "assets", "vocabulary").write_text("words")


def visible(base):
    return sorted(os.listdir(base)) if os.path.isdir(base) else []


# -- checks ----------------------------------------------------------------------------------------


def leave_by_text(directory):
    Path(directory, "link").symlink_to(f"../{Path(directory).name}/model")


def leave_by_a_link_to_a_link(directory):
    Path(directory, "deep", "er").mkdir(parents=True)
    Path(directory, "deep", "er", "root").symlink_to("../..")
    Path(directory, "link").symlink_to("deep/er/root/../outside")  # reads like deep/er/outside, and is not


@pytest.mark.parametrize(
    "link",
    [
        lambda d: Path(d, "link").symlink_to("/etc/passwd"),
        lambda d: Path(d, "link").symlink_to(Path(d, "model")),
        lambda d: Path(d, "assets", "link").symlink_to("../../other"),
        leave_by_text,
        leave_by_a_link_to_a_link,
    ],
    ids=["absolute", "absolute but inside", "up and out", "out and back in", "through another link"],
)
def test_a_link_that_leads_out_of_the_export_is_refused(tmp_path, link):
    def linked(directory):
        write(directory)
        link(directory)

    with pytest.raises(PluginError, match="leads out"):
        publish(str(tmp_path / "base"), linked, clock=VirtualClock(9))
    assert visible(tmp_path / "base") == []


def test_a_link_that_stays_inside_is_published(tmp_path):
    def linked(directory):
        write(directory)
        Path(directory, "assets", "again").symlink_to("../model")

    path = publish(str(tmp_path), linked, clock=VirtualClock(9))
    assert Path(path, "assets", "again").read_text() == "whole"


def replace_by_link(directory):
    os.rmdir(directory)
    os.symlink("/etc", directory)


@pytest.mark.parametrize(
    ("writer", "told"),
    [
        (lambda d: None, "no file was written"),
        (lambda d: os.mkdir(os.path.join(d, "empty")), "no file was written"),
        (os.rmdir, "removed or replaced"),
        (replace_by_link, "removed or replaced"),
        (lambda d: os.mkfifo(os.path.join(d, "pipe")), "'pipe' is neither a file nor a directory"),
    ],
)
def test_a_writer_that_fills_nothing_or_something_odd_is_named_as_breaking_the_contract(
    tmp_path, writer, told
):
    with pytest.raises(PluginError, match=told):
        publish(str(tmp_path), writer, clock=VirtualClock(9))
    assert visible(tmp_path) == []


# -- sweeping --------------------------------------------------------------------------------------


KILLED = """
import sys
from expcore.publish import publish
from expcore.testing.clock import VirtualClock

def write(directory):
    open(directory + "/half", "w").write("ha")
    print("writing", flush=True)
    sys.stdin.read()

publish(sys.argv[1], write, clock=VirtualClock(5))
"""


def test_a_process_killed_while_writing_leaves_no_version_and_the_next_publication_sweeps(tmp_path):
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path.parent
    ) as child:
        try:
            assert child.stdout.readline() == b"writing\n"
            publish(str(tmp_path), write, clock=VirtualClock(1))
            # The writer lives, so its directory is left alone.
            assert [n[:5] for n in visible(tmp_path)] == [".tmp-", "1"]
        finally:
            child.send_signal(signal.SIGKILL)
    assert versions(str(tmp_path)) == [1]
    publish(str(tmp_path), write, clock=VirtualClock(7))
    assert visible(tmp_path) == ["1", "7"]


def left_behind(base, owner, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Owner, "current", classmethod(lambda cls: owner))
        place = temporary.temporary_directory(str(base))
        path = place.__enter__()
    Path(path, "half").write_text("ha")
    return place, path  # kept by the caller, so that the context is not closed by the garbage collector


def test_what_another_machine_left_is_swept_only_after_a_day_without_change(tmp_path, monkeypatch):
    elsewhere = Owner("gpu_7/ü.example", "6d0c", 12, 34)
    place, path = left_behind(tmp_path, elsewhere, monkeypatch)
    os.utime(path, (1000, 1000))
    publish(str(tmp_path), write, clock=VirtualClock(1000 + 86399))
    assert os.path.isdir(path)
    publish(str(tmp_path), write, clock=VirtualClock(1000 + 86401))
    assert not os.path.exists(path)
    del place


def test_what_this_machine_left_before_a_restart_is_swept_at_once(tmp_path, monkeypatch):
    now = Owner.current()
    place, path = left_behind(tmp_path, Owner(now.host, "another-boot", now.pid, now.started), monkeypatch)
    publish(str(tmp_path), write, clock=VirtualClock(1))
    assert not os.path.exists(path)
    del place


def test_sweeping_touches_nothing_that_is_not_a_temporary_directory_of_ours(tmp_path):
    owned = ".tmp-1_2_boot_0_" + Owner.current().host
    (tmp_path / ".tmp-notes").mkdir()
    (tmp_path / ".tmp-a_b_c_d_e").mkdir()
    (tmp_path / "keep").mkdir()
    (tmp_path / owned).symlink_to(tmp_path / "keep")
    publish(str(tmp_path), write, clock=VirtualClock(9 * 10**9))
    assert visible(tmp_path) == sorted([".tmp-notes", ".tmp-a_b_c_d_e", "keep", owned, str(9 * 10**9)])


def test_what_cannot_be_swept_is_told_and_keeps_no_export_from_happening(tmp_path, monkeypatch, caplog):
    now = Owner.current()
    place, path = left_behind(tmp_path, Owner(now.host, "another-boot", 1, 1), monkeypatch)

    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr(temporary.shutil, "rmtree", refuse)
    assert publish(str(tmp_path), write, clock=VirtualClock(3)) == str(tmp_path / "3")
    assert f"cannot remove {path}" in caplog.text
    del place
