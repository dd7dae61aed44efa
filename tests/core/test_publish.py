"""Publishing: complete or not at all, growing versions, retention, safe names."""

from __future__ import annotations

import errno
import os
import re
import stat
import string
import threading
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from expcore import publish as publishing
from expcore import temporary
from expcore.errors import CannotWrite, InvalidArgument
from expcore.publish import check_name, publish, versions
from expcore.testing.clock import VirtualClock


def write(directory):
    Path(directory, "model").write_text("whole")
    Path(directory, "assets").mkdir()
    Path(directory, "assets", "vocabulary").write_text("words")


def visible(base):
    return sorted(os.listdir(base)) if os.path.isdir(base) else []


# -- publishing ------------------------------------------------------------------------------------


def test_what_was_written_is_published_under_the_time_as_version(tmp_path):
    base = str(tmp_path / "export" / "best")
    path = publish(base, write, clock=VirtualClock(1700000000.9))
    assert path == os.path.join(base, "1700000000")
    assert Path(path, "model").read_text() == "whole"
    assert Path(path, "assets", "vocabulary").read_text() == "words"
    assert visible(base) == ["1700000000"]


def test_a_reader_that_lists_during_the_write_never_sees_a_version_that_is_not_whole(tmp_path):
    base = str(tmp_path / "base")
    publish(base, write, clock=VirtualClock(10))
    seen = []

    def slow(directory):
        for name in ("a", "b", "c"):
            Path(directory, name).write_text(name)
            seen.append([n for n in visible(base) if n.isdigit()])

    publish(base, slow, clock=VirtualClock(20))
    assert seen == [["10"]] * 3
    assert versions(base) == [10, 20]


def test_all_of_it_is_on_the_disk_before_it_gets_its_name_and_the_name_afterwards(tmp_path, monkeypatch):
    base, happened = tmp_path / "base", []
    sync, rename = os.fsync, os.rename

    def noting_sync(handle):
        happened.append(Path(os.readlink(f"/proc/self/fd/{handle}")).name)
        sync(handle)

    def noting_rename(source, target):
        happened.append("rename")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", noting_sync)
    monkeypatch.setattr(os, "rename", noting_rename)
    publish(str(base), write, clock=VirtualClock(1))
    at = happened.index("rename")
    assert set(happened[:at]) > {"model", "assets", "vocabulary"}
    assert happened[at - 1].startswith(".tmp-")
    assert happened[at:] == ["rename", "base"]


def test_a_file_system_that_cannot_sync_directories_is_no_obstacle(tmp_path, monkeypatch):
    def refuse(handle):
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", refuse)
    assert publish(str(tmp_path), write, clock=VirtualClock(3)).endswith("/3")


def test_versions_grow_when_the_clock_goes_back_or_stands(tmp_path):
    base, clock = str(tmp_path), VirtualClock(100)
    got = [publish(base, write, clock=clock)]
    got += [publish(base, write, clock=VirtualClock(now)) for now in (100, 40, 0, 102, 500)]
    assert [int(os.path.basename(p)) for p in got] == [100, 101, 102, 103, 104, 500]


def test_the_first_version_under_a_clock_at_zero_is_one(tmp_path):
    assert publish(str(tmp_path), write, clock=VirtualClock(0)) == str(tmp_path / "1")


def test_a_name_taken_in_between_makes_it_the_next_one(tmp_path, monkeypatch):
    for taken in ("7", "8"):
        (tmp_path / taken / "x").mkdir(parents=True)
    (tmp_path / "9").write_text("a file, not a directory")
    monkeypatch.setattr(publishing, "versions", lambda base: [])
    assert publish(str(tmp_path), write, clock=VirtualClock(7)) == str(tmp_path / "10")


def test_publishers_at_the_same_second_get_versions_of_their_own(tmp_path):
    clock, got, start = VirtualClock(1000), [], threading.Barrier(8)

    def work():
        start.wait()
        for _ in range(25):
            got.append(publish(str(tmp_path), write, clock=clock))  # noqa: PERF401

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(got)) == 200
    assert versions(str(tmp_path)) == list(range(1000, 1200))
    assert all((Path(p) / "assets" / "vocabulary").is_file() for p in got)
    assert [n for n in visible(tmp_path) if not n.isdigit()] == []


def test_versions_are_the_integer_named_directories_only(tmp_path):
    for name in ("3", "20", "007", "1.5", "-4", "x", "٣", ".tmp-1", "9" * 30):
        (tmp_path / name).mkdir()
    (tmp_path / "5").write_text("a file")
    assert versions(str(tmp_path)) == [3, 20]
    assert versions(str(tmp_path / "nowhere")) == []


@pytest.mark.parametrize("umask", [0o022, 0o027])
def test_permissions_are_those_of_the_umask_so_that_a_server_of_another_user_can_read(tmp_path, umask):
    before = os.umask(umask)
    try:
        path = publish(str(tmp_path / "base"), write, clock=VirtualClock(1))
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o777 & ~umask
    assert stat.S_IMODE(os.stat(tmp_path / "base").st_mode) == 0o777 & ~umask


# -- failures --------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(143)])
def test_a_writer_that_raises_leaves_nothing_behind_and_older_versions_untouched(tmp_path, error):
    old = publish(str(tmp_path), write, clock=VirtualClock(5))

    def fail(directory):
        write(directory)
        raise error

    with pytest.raises(type(error)) as caught:
        publish(str(tmp_path), fail, clock=VirtualClock(9), keep=1, recorded=[5])
    assert caught.value is error
    assert visible(tmp_path) == ["5"]
    assert Path(old, "model").read_text() == "whole"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_disk_that_is_full_or_read_only_is_cannot_write_with_the_path(tmp_path, code):
    def fail(directory):
        Path(directory, "half").write_text("ha")
        raise OSError(code, os.strerror(code))

    with pytest.raises(CannotWrite, match=re.escape(str(tmp_path))) as caught:
        publish(str(tmp_path), fail, clock=VirtualClock(9))
    assert os.strerror(code) in str(caught.value)
    assert caught.value.exit_code == 73
    assert visible(tmp_path) == []


def test_a_denied_write_into_the_directory_is_cannot_write_but_errors_of_other_files_go_through(tmp_path):
    def denied_inside(directory):
        raise PermissionError(errno.EACCES, "Permission denied", os.path.join(directory, "x"))

    def denied_elsewhere(directory):
        raise PermissionError(errno.EACCES, "Permission denied", "/somewhere/assets.txt")

    def missing(directory):
        raise FileNotFoundError(errno.ENOENT, "No such file", "/somewhere/ckpt-5")

    with pytest.raises(CannotWrite, match=r"cannot write .*/x: Permission denied"):
        publish(str(tmp_path), denied_inside, clock=VirtualClock(9))
    for fail in (denied_elsewhere, missing):
        with pytest.raises(OSError, match="/somewhere/") as caught:
            publish(str(tmp_path), fail, clock=VirtualClock(9))
        assert not isinstance(caught.value, CannotWrite)


def test_an_error_of_ours_that_a_writer_raises_is_not_wrapped_again(tmp_path):
    error = CannotWrite("exporter 'x': told already")

    def fail(directory):
        raise error

    with pytest.raises(CannotWrite) as caught:
        publish(str(tmp_path), fail, clock=VirtualClock(9))
    assert caught.value is error


def test_a_base_that_cannot_be_a_directory_is_cannot_write(tmp_path):
    (tmp_path / "export").write_text("in the way")
    with pytest.raises(CannotWrite, match="export"):
        publish(str(tmp_path / "export" / "best"), write, clock=VirtualClock(9))


def test_a_base_that_is_a_link_is_refused_and_its_target_untouched(tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "best").symlink_to(tmp_path / "outside")
    with pytest.raises(CannotWrite, match=r"^export to \S+/best: it is a symbolic link"):
        publish(str(tmp_path / "best"), write, clock=VirtualClock(9))
    assert visible(tmp_path / "outside") == []


# -- retention -------------------------------------------------------------------------------------


def filled(base, *names):
    for name in names:
        Path(base, str(name)).mkdir(parents=True)
        Path(base, str(name), "model").write_text(str(name))


def test_only_the_newest_recorded_versions_are_kept_and_everything_else_stays(tmp_path):
    filled(tmp_path, 1, 2, 3, 4, 5, "notes")
    publish(str(tmp_path), write, clock=VirtualClock(6), keep=2, recorded=[1, 3, 4, 77])
    assert visible(tmp_path) == ["2", "4", "5", "6", "notes"]


def test_all_versions_are_kept_where_keep_is_none(tmp_path):
    filled(tmp_path, 1, 2, 3)
    publish(str(tmp_path), write, clock=VirtualClock(6), keep=None, recorded=[1, 2, 3])
    assert versions(str(tmp_path)) == [1, 2, 3, 6]


def test_the_newest_version_is_never_deleted(tmp_path):
    filled(tmp_path, 1, 2)
    publishing._retain(str(tmp_path), {1, 2}, 1)
    assert versions(str(tmp_path)) == [2]
    publishing._retain(str(tmp_path), {1, 2}, 1)
    assert versions(str(tmp_path)) == [2]


def test_retention_follows_no_link(tmp_path, caplog):
    filled(tmp_path / "outside", 0)
    filled(tmp_path / "base", 2)
    (tmp_path / "base" / "1").symlink_to(tmp_path / "outside" / "0")
    (tmp_path / "base" / "2" / "link").symlink_to(tmp_path / "outside")
    publish(str(tmp_path / "base"), write, clock=VirtualClock(6), keep=1, recorded=[1, 2])
    assert visible(tmp_path / "base") == ["1", "6"]
    assert (tmp_path / "outside" / "0" / "model").read_text() == "0"
    assert caplog.text == ""


def test_a_version_that_vanishes_meanwhile_is_no_error(tmp_path, monkeypatch, caplog):
    filled(tmp_path, 5)
    monkeypatch.setattr(publishing, "versions", lambda base: [1, 2, 5])
    publishing._retain(str(tmp_path), {1, 2, 5}, 1)
    assert caplog.text == ""


def test_a_version_that_cannot_be_deleted_is_told_and_the_export_stands(tmp_path, monkeypatch, caplog):
    filled(tmp_path, 1)
    rename = os.rename

    def refuse(source, target):
        if source == str(tmp_path / "1"):
            raise PermissionError(errno.EACCES, "Permission denied", source)
        rename(source, target)

    monkeypatch.setattr(os, "rename", refuse)
    publish(str(tmp_path), write, clock=VirtualClock(6), keep=1, recorded=[1])
    assert visible(tmp_path) == ["1", "6"]
    assert f"old version {tmp_path / '1'} stays" in caplog.text


def test_a_version_leaves_as_a_whole_and_a_reader_with_open_files_reads_on(tmp_path, monkeypatch):
    filled(tmp_path, 1)
    remove, seen = temporary.shutil.rmtree, []

    def watching(path):
        seen.append(versions(str(tmp_path)))
        remove(path)

    monkeypatch.setattr(temporary.shutil, "rmtree", watching)
    with open(tmp_path / "1" / "model") as reader:
        publish(str(tmp_path), write, clock=VirtualClock(6), keep=1, recorded=[1])
        assert reader.read() == "1"
    assert seen[-1] == [6]
    assert visible(tmp_path) == ["6"]


@pytest.mark.parametrize("keep", [0, -1, 2.0, "3", True])
def test_keep_must_be_a_positive_int_or_none(tmp_path, keep):
    with pytest.raises(InvalidArgument, match="keep"):
        publish(str(tmp_path), write, clock=VirtualClock(), keep=keep)
    assert visible(tmp_path) == []


# -- names -----------------------------------------------------------------------------------------

LETTERS = set(string.ascii_letters + string.digits)
EVIL = [
    "",
    ".",
    "..",
    "/abs",
    "a/../../b",
    "a\\b",
    "\0",
    "a\0",
    "a\n",
    "ends ",
    "-rf",
    "\u2024\u2024",
    "é",
    "x" * 65,
    None,
    3,
]


@settings(max_examples=1000, deadline=None)
@given(st.one_of(st.text(max_size=80), st.from_regex(r"[A-Za-z0-9._-]{0,70}", fullmatch=True)))
@example("a" * 64)
def test_a_name_is_accepted_exactly_if_it_is_safe_as_a_directory(name):
    safe = 1 <= len(name) <= 64 and name[0] in LETTERS and set(name) <= LETTERS | set("._-")
    if not safe:
        with pytest.raises(InvalidArgument, match="name"):
            check_name(name)
        return
    assert check_name(name) == name
    assert os.path.normpath(os.path.join("/export", name)) == f"/export/{name}"


@pytest.mark.parametrize("name", EVIL)
def test_names_that_lead_elsewhere_are_refused(name):
    with pytest.raises(InvalidArgument, match="exporter"):
        check_name(name)
