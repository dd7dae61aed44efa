"""Publishing: complete or not at all, growing versions, retention; the exporter around a policy."""

from __future__ import annotations

import errno
import os
import re
import signal
import stat
import string
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from expcore import publish as publishing
from expcore import temporary
from expcore.errors import CannotWrite, InvalidArgument, InvalidType, PluginError
from expcore.owner import Owner
from expcore.publish import ExportStrategy, Policy, as_exporter, check_name, publish, versions
from expcore.testing.clock import VirtualClock
from expcore.types import Checkpoint, Export, Exporter


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


# -- sweeping --------------------------------------------------------------------------------------


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


# -- the exporter around a policy ------------------------------------------------------------------


class Text:
    """A format that notes what it was given."""

    def __init__(self):
        self.given = []

    def write(self, estimator, directory, checkpoint_path=None, eval_result=None):
        self.given.append((estimator, checkpoint_path, eval_result))
        write(directory)


class Always(Policy):
    default_name = "always"

    def wants(self, eval_result, history, final):
        return True


class WhenGood(Policy):
    default_name = "good"

    def wants(self, eval_result, history, final):
        return final or eval_result["loss"] < 1


@dataclass
class Log:
    """As much of a history as an exporter asks for."""

    checkpoint: Checkpoint | None = None
    exports: list[Export] = field(default_factory=list)

    def exported(self, exporter, checkpoint=None):
        return any(e.exporter == exporter and checkpoint in (None, e.checkpoint) for e in self.exports)


def test_a_policy_publishes_what_it_wants_and_declines_with_none(tmp_path):
    policy, clock = WhenGood(Text()), VirtualClock(50)
    base = str(tmp_path / "good")
    assert policy.export("estimator", base, "ckpt-1", {"loss": 2.0}, clock=clock) is None
    assert visible(base) == []
    assert policy.export("estimator", base, "ckpt-2", {"loss": 0.5}, clock=clock) == f"{base}/50"
    assert policy.export("estimator", base, "ckpt-3", {"loss": 2.0}, True, clock=clock) == f"{base}/51"
    assert policy.format.given == [
        ("estimator", "ckpt-2", {"loss": 0.5}),
        ("estimator", "ckpt-3", {"loss": 2.0}),
    ]


def test_a_policy_without_a_clock_takes_the_real_time(tmp_path):
    path = Always(Text()).export(None, str(tmp_path))
    assert int(os.path.basename(path)) > 1_600_000_000


def test_a_format_is_given_only_what_it_names(tmp_path):
    class Small:
        def write(self, estimator, directory):
            write(directory)

    assert Always(Small()).export(None, str(tmp_path), "ckpt-1", {}, clock=VirtualClock(4))


def test_a_policy_is_an_exporter_with_its_default_name_or_the_given_one():
    assert isinstance(Always(Text()), Exporter)
    assert Always(Text()).name == "always"
    assert Always(Text(), name="other").name == "other"
    assert Always(Text()).keep == 5


@pytest.mark.parametrize("arguments", [{"name": "a/b"}, {"name": ""}, {"keep": 0}])
def test_a_policy_refuses_a_bad_name_or_keep_at_once(arguments):
    with pytest.raises(InvalidArgument):
        Always(Text(), **arguments)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (3, "format 3 has no method write"),
        (None, "format None has no method write"),
        (Text, "is a class"),
        (Always(Text()), "is an exporter or policy"),
        (ExportStrategy("a", print), "is an exporter or policy"),
    ],
)
def test_something_else_in_the_place_of_a_format_is_named(value, told):
    with pytest.raises(InvalidType, match=f"exporter 'always'.*{told}"):
        Always(value)


def test_already_exported_asks_the_log_for_this_checkpoint_and_name():
    here = Checkpoint("log:3", "ckpt-5", 5)
    policy = Always(Text())
    assert not policy.already_exported(None)
    assert not policy.already_exported(Log(None, [Export("always", "log:3", 5, "p")]))
    assert not policy.already_exported(Log(here, [Export("always", "log:2", 4, "p")]))
    assert not policy.already_exported(Log(here, [Export("other", "log:3", 5, "p")]))
    assert policy.already_exported(Log(here, [Export("always", "log:3", 5, "p")]))


def test_a_policy_deletes_only_versions_that_the_log_says_it_published_there(tmp_path):
    base = tmp_path / "moved" / "always"
    filled(base, 1, 2, 3, 4, 5, 6)
    log = Log(
        exports=[
            Export("always", "a", 1, "/before/the/move/always/1"),
            Export("always", "b", 2, "/before/the/move/always/2/"),
            Export("other", "b", 2, "/before/the/move/always/3"),
            Export("always", "b", 2, "/before/the/move/another/4"),
            Export("always", "b", 2, "/before/the/move/always/latest"),
            Export("always", "b", 2, None),
        ]
    )
    Always(Text(), keep=1).export(None, str(base) + "/", history=log, clock=VirtualClock(9))
    assert visible(base) == ["3", "4", "5", "6", "9"]


def test_without_a_log_no_old_version_is_deleted(tmp_path):
    for now in range(1, 9):
        Always(Text(), keep=1).export(None, str(tmp_path), clock=VirtualClock(now))
    assert versions(str(tmp_path)) == list(range(1, 9))


# -- the form of 2017 ------------------------------------------------------------------------------


def test_an_export_strategy_calls_its_function_with_what_it_names_and_returns_what_it_returns():
    def plain(estimator, export_path):
        return ("plain", estimator, export_path)

    def full(estimator, export_path, checkpoint_path, eval_result, strip_default_attrs, **rest):
        return (checkpoint_path, eval_result, strip_default_attrs, rest)

    def modern(estimator, export_path, history=None, is_the_final_export=False):
        return (history, is_the_final_export)

    given = {"checkpoint_path": "ckpt-1", "eval_result": {"loss": 1.0}}
    assert ExportStrategy("a", plain).export("e", "p", **given) == ("plain", "e", "p")
    assert ExportStrategy("a", full).export("e", "p", **given) == ("ckpt-1", {"loss": 1.0}, None, {})
    assert ExportStrategy("a", full, strip_default_attrs=True).export("e", "p", **given)[2] is True
    log = Log()
    assert ExportStrategy("a", modern).export("e", "p", history=log, is_the_final_export=True) == (log, True)
    assert isinstance(ExportStrategy("a", plain), Exporter)


def test_a_result_without_its_checkpoint_is_refused_only_in_a_direct_call_of_a_function_that_asks_for_it():
    def asks(estimator, export_path, eval_result):
        return eval_result

    strategy = ExportStrategy("a", asks)
    with pytest.raises(ValueError, match="checkpoint_path="):
        strategy.export("e", "p", eval_result={"loss": 1.0})
    assert strategy.export("e", "p", eval_result={"loss": 1.0}, checkpoint_path="c") == {"loss": 1.0}
    assert strategy.export("e", "p", eval_result={"loss": 1.0}, history=Log()) == {"loss": 1.0}
    assert strategy.export("e", "p") is None
    assert (
        ExportStrategy("b", lambda estimator, path: path).export("e", "p", eval_result={"loss": 1.0}) == "p"
    )


def test_an_export_strategy_checks_its_name_and_function_at_once():
    with pytest.raises(InvalidArgument, match="export strategy"):
        ExportStrategy("a b", print)
    with pytest.raises(InvalidType, match="export_fn is 3"):
        ExportStrategy("a", 3)


# -- what an experiment accepts --------------------------------------------------------------------


def test_as_exporter_takes_exporters_as_they_are_and_wraps_formats():
    class Foreign:
        name = "best_exporter"

        def export(self, estimator, export_path, checkpoint_path, eval_result, is_the_final_export):
            return b"/x"

    for exporter in (Foreign(), Always(Text()), ExportStrategy("a", print)):
        assert as_exporter(exporter) is exporter
    form = Text()
    wrapped = as_exporter(form, Always)
    assert isinstance(wrapped, Always)
    assert wrapped.format is form


def test_as_exporter_says_what_is_missing_as_a_value_error():
    class Nameless:
        def export(self):
            return None

    class BadName(Nameless):
        name = "../up"

    for value, told in [
        (3, "lacks a name and export"),
        (Nameless(), "lacks a name;"),
        (Always, "an object instead of a class"),
        (Text, "an object instead of a class"),
        (Text(), "lacks a name and export"),
        (BadName(), r"'\.\./up'"),
    ]:
        with pytest.raises(ValueError, match=told) as caught:
            as_exporter(value)
        assert isinstance(caught.value, InvalidArgument)
