"""The log of events: what is written, what is read back, and what damage does."""

from __future__ import annotations

import errno
import json
import logging
import math
import os
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expcore import events as ev
from expcore.errors import CannotWrite
from expcore.events import Event, EventLog, LogReader, plain
from expcore.testing.clock import VirtualClock


def log_of(path: Path, task: str = "chief-0", token: str = "abcd", clock: Any = None) -> EventLog:
    return EventLog(str(path), task, clock or VirtualClock(), lambda: token)


def lines(path: Path) -> list[str]:
    (file,) = (path / "expcore").glob("events-*.jsonl")
    return file.read_text().splitlines()


def only_file(path: Path) -> Path:
    (file,) = (path / "expcore").glob("events-*.jsonl")
    return file


def test_an_event_is_returned_as_it_will_be_read(tmp_path):
    clock = VirtualClock(start=100.0)
    log = log_of(tmp_path, clock=clock)
    written = [log.append("started", by="me")]
    clock.sleep(2.5)
    written.append(log.append(ev.SKIPPED, what="export", reason="not-wanted", secs=1.5))
    assert LogReader(str(tmp_path)).read() == written
    assert written[1] == Event(
        ev.SKIPPED,
        "events-chief-0-abcd",
        1,
        102.5,
        2.5,
        {"what": "export", "reason": "not-wanted", "secs": 1.5},
    )
    assert [e.id for e in written] == ["events-chief-0-abcd:0", "events-chief-0-abcd:1"]


def test_nothing_is_made_before_the_first_event_or_the_name_is_asked_for(tmp_path):
    clock = VirtualClock(start=5.0)
    log = log_of(tmp_path / "new" / "dir", clock=clock)
    clock.sleep(1)
    assert (log.elapsed, list(tmp_path.iterdir())) == (0.0, [])
    assert log.name == "events-chief-0-abcd"
    assert (tmp_path / "new" / "dir" / "expcore" / "events-chief-0-abcd.jsonl").read_bytes() == b""
    clock.sleep(3)
    assert log.elapsed == 3.0


def test_a_log_without_a_token_has_a_random_name_of_its_own(tmp_path):
    names = {EventLog(str(tmp_path), "worker-1", VirtualClock()).name for _ in range(20)}
    assert len(names) == 20
    assert all(name.startswith("events-worker-1-") for name in names)


def test_a_file_belongs_to_one_log_for_ever(tmp_path):
    log_of(tmp_path).append("first")
    before = lines(tmp_path)
    with pytest.raises(CannotWrite, match="exists"):
        log_of(tmp_path).append("second")
    assert lines(tmp_path) == before


def test_every_line_is_strict_json_with_its_schema(tmp_path):
    log = log_of(tmp_path)
    log.append("odd", text="a\nb\u2028ü", nan=math.nan, inf=[-math.inf, {"deep": math.inf}])
    log.append("plain")

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    read = [json.loads(line, parse_constant=refuse) for line in lines(tmp_path)]
    assert [(r["v"], r["seq"], r["event"]) for r in read] == [(ev.SCHEMA, 0, "odd"), (ev.SCHEMA, 1, "plain")]


json_data = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), json_data, max_size=4))
def test_any_json_data_comes_back_as_it_was_also_nan_and_infinities(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("log")
    log_of(path).append("any", value=data)
    (event,) = LogReader(str(path)).read()
    assert repr(event.data["value"]) == repr(data)  # NaN is not equal to itself


@pytest.mark.parametrize(
    "value", [{"$float": "1.5"}, {"$float": "x"}, {"$float": 3}, {"$float": "nan", "b": 1}]
)
def test_data_that_looks_like_our_notation_of_floats_is_not_taken_for_it(tmp_path, value):
    log_of(tmp_path).append("any", value=value)
    assert [event.data for event in LogReader(str(tmp_path)).read()] == [{"value": value}]


class Colour(str, Enum):  # noqa: UP042  whose str() is not its value, unlike a StrEnum's
    RED = "red"


class Number(IntEnum):
    ONE = 1


class Tensor:
    def numpy(self) -> Any:
        return np.float32(0.5)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float64(0.25), 0.25),
        (np.float32(0.5), 0.5),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.bytes_(b"a"), "a"),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array(1.5), 1.5),
        (Tensor(), 0.5),
        ((1, 2), [1, 2]),
        ({3}, [3]),
        (frozenset({"x"}), ["x"]),
        ({1: {np.int64(2): (np.float64(3.0),)}}, {"1": {"2": [3.0]}}),
        (b"\xff\x41", "\ufffdA"),
        (Colour.RED, "red"),
        (Number.ONE, 1),
        (True, True),
        (None, None),
        (Path("model/ckpt"), str(Path("model/ckpt"))),
    ],
)
def test_values_of_other_libraries_become_pythons_own(value, expected):
    got = plain(value)
    assert got == expected
    assert type(got) is type(expected)
    assert json.dumps(got) == json.dumps(expected)


@pytest.mark.parametrize("value", [np.float64("nan"), np.float32("inf"), np.array([1.0, -np.inf])])
def test_numpys_nan_and_infinities_are_read_back(tmp_path, value):
    log_of(tmp_path).append(ev.EVALUATED, step=1, metrics={"loss": value})
    (event,) = LogReader(str(tmp_path)).read()
    np.testing.assert_array_equal(event.data["metrics"]["loss"], value)


def test_a_directory_that_does_not_exist_has_no_events(tmp_path):
    assert LogReader(str(tmp_path / "not" / "yet")).read() == []


def test_a_torn_last_line_is_left_out_silently_and_read_when_it_is_whole(tmp_path, caplog):
    log_of(tmp_path).append("one")
    file = only_file(tmp_path)
    whole = file.read_bytes()
    rest = whole.replace(b'"seq": 0', b'"seq": 1')
    file.write_bytes(whole + rest[:20])
    reader = LogReader(str(tmp_path))
    assert [e.seq for e in reader.read()] == [0]
    with file.open("ab") as out:
        out.write(rest[20:])
    assert [e.seq for e in reader.read()] == [1]
    assert caplog.records == []


@pytest.mark.parametrize(
    "damage",
    [
        b"\x00\x00\x00\x00",
        b'{"v": 1, "seq": 1, "ev',
        b"[1, 2]",
        b"3",
        b"null",
        b'{"v": 1}',
        b'{"v": 1, "seq": 1e999, "event": "x", "time": 0, "elapsed": 0}',
        b'{"v": 1, "seq": "?", "event": "x", "time": 0, "elapsed": 0}',
        b'{"v": 1, "seq": 1, "event": "saved", "time": 0, "elapsed": 0}',
        b'{"v": 1, "seq": 1, "event": "evaluated", "time": 0, "elapsed": 0, "step": 3}',
        b'{"v": ' + b"[" * 100_000,
    ],
)
def test_damaged_lines_are_left_out_with_one_warning_a_file(tmp_path, caplog, damage):
    log_of(tmp_path).append("one")
    file = only_file(tmp_path)
    line = file.read_bytes()
    file.write_bytes(line + damage + b"\n" + damage + b"\n\n" + line.replace(b'"seq": 0', b'"seq": 3'))
    reader = LogReader(str(tmp_path))
    assert [e.seq for e in reader.read()] == [0, 3]
    assert reader.read() == []
    assert [r.levelno for r in caplog.records] == [logging.WARNING]
    assert "has a damaged line, which is left out" in caplog.text
    assert str(file) in caplog.text


def test_an_empty_line_is_no_damage(tmp_path, caplog):
    log_of(tmp_path).append("one")
    only_file(tmp_path).write_bytes(b"\n" + only_file(tmp_path).read_bytes() + b" \n\n")
    assert len(LogReader(str(tmp_path)).read()) == 1
    assert caplog.records == []


def test_a_newer_schema_is_read_as_far_as_it_is_understood_with_one_warning(tmp_path, caplog):
    log_of(tmp_path).append("one", path="a")
    file = only_file(tmp_path)
    newer = file.read_bytes().replace(b'"v": 1', b'"v": 2').replace(b'"event": "one"', b'"event": "saved"')
    unknown = newer.replace(b'"path"', b'"place"')
    file.write_bytes(newer + newer + unknown)
    assert [e.data["path"] for e in LogReader(str(tmp_path)).read()] == ["a", "a"]
    assert len(caplog.records) == 1
    assert "written by a newer expcore (schema 2)" in caplog.text


def test_a_file_that_cannot_be_read_is_warned_of_and_hides_no_other(tmp_path, caplog):
    log_of(tmp_path).append("one")
    (tmp_path / "expcore" / "events-aaa-0-x.jsonl").mkdir()
    reader = LogReader(str(tmp_path))
    assert [len(reader.read()) for _ in range(3)] == [1, 0, 0]
    assert len(caplog.records) == 1
    assert "cannot be read" in caplog.text


def test_other_files_of_the_directory_are_no_logs(tmp_path):
    log_of(tmp_path).append("one")
    for name in ("status-chief-0-abcd.json", "run.json", "events-chief-0-abcd.jsonl.bak"):
        (tmp_path / "expcore" / name).write_bytes(only_file(tmp_path).read_bytes())
    assert len(LogReader(str(tmp_path)).read()) == 1


def test_reading_takes_only_what_came_since_the_last_time(tmp_path, monkeypatch):
    one, other = log_of(tmp_path, token="b"), log_of(tmp_path, "worker-1", "a")
    reader = LogReader(str(tmp_path))
    one.append("first")
    assert [e.kind for e in reader.read()] == ["first"]
    (tmp_path / "expcore" / "events-chief-0-b.jsonl").write_bytes(b"x" * len(_bytes(tmp_path, "chief-0-b")))
    other.append("second")
    one.append("third")
    assert [e.kind for e in reader.read()] == ["third", "second"]
    # Nothing is opened where nothing came.
    monkeypatch.setattr(Path, "open", lambda *a, **k: pytest.fail("a file was opened"))
    assert reader.read() == []


def _bytes(path: Path, name: str) -> bytes:
    return (path / "expcore" / f"events-{name}.jsonl").read_bytes()


class FullDisk:
    """Lets so many bytes through to the disk and then has no room, as often as asked."""

    def __init__(self, monkeypatch: Any, room: int, how: str) -> None:
        self.room, self.how = room, how
        self._open, self._fsync = Path.open, os.fsync
        monkeypatch.setattr(Path, "open", lambda path, mode="r", *a, **k: self.open(path, mode, *a, **k))
        monkeypatch.setattr(os, "fsync", lambda handle: self.fsync(handle))

    def open(self, path: Path, mode: str, *args: Any, **kwargs: Any) -> Any:
        file = self._open(path, mode, *args, **kwargs)
        if mode != "ab":
            return file
        if self.how == "open":
            file.close()
            raise OSError(errno.ENOSPC, "No space left on device")
        write = file.write

        def cut(data: bytes) -> int:
            if self.how != "write":
                return write(data)
            write(data[: self.room])
            file.flush()
            raise OSError(errno.ENOSPC, "No space left on device")

        return _Wrapped(file, cut)

    def fsync(self, handle: int) -> None:
        if self.how == "fsync":
            raise OSError(errno.EIO, "Input/output error")
        self._fsync(handle)


class _Wrapped:
    def __init__(self, file: Any, write: Any) -> None:
        self._file, self.write = file, write

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *args: Any) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@pytest.mark.parametrize(("how", "room"), [("open", 0), ("write", 0), ("write", 25), ("fsync", 0)])
def test_a_line_that_a_full_disk_cut_is_closed_by_the_next_so_that_it_alone_is_lost(tmp_path, how, room):
    log = log_of(tmp_path)
    first = log.append("first")
    with pytest.MonkeyPatch.context() as patch:
        FullDisk(patch, room, how)
        for _ in range(2):
            with pytest.raises(CannotWrite, match=r"the log cannot be written .*free space or mend it"):
                log.append("lost")
    then = [log.append("then"), log.append("last")]
    read = [e for e in LogReader(str(tmp_path)).read() if e.kind != "lost"]
    assert read == [first, *then]
    # What a failed sync left behind was written all the same: no number is given twice.
    everything = LogReader(str(tmp_path)).read()
    assert len({e.id for e in everything}) == len(everything)
    assert (len(everything) == 5) == (how == "fsync")


@pytest.mark.parametrize("where", [".", "expcore"])
def test_a_directory_that_cannot_be_written_is_an_error_with_its_name(tmp_path, where):
    model_dir = tmp_path / "model"
    (model_dir / where).parent.mkdir(exist_ok=True, parents=True)
    (model_dir / where).write_text("a file in the way")
    with pytest.raises(CannotWrite, match=r"model directory '.*model': it cannot be written") as caught:
        log_of(model_dir).append("first")
    assert isinstance(caught.value, OSError)
