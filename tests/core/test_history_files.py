"""The history and checkpoints' files: which checkpoint lies at a path, also after moves and rollbacks."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from expcore import events as ev
from expcore.events import Event
from expcore.history import History, fingerprint, shorten
from expcore.types import Checkpoint


class Writer:
    """Makes the events of one process."""

    def __init__(self, file: str = "events-chief-0-aa", generation: int = 1) -> None:
        self.file, self.events, self.run = file, [], f"{file}#{generation}"
        self.add(ev.TRAINING_STARTED, run=self.run, generation=generation)

    def add(self, kind: str, **data: Any) -> str:
        self.events.append(Event(kind, self.file, len(self.events), 0.0, 0.0, data))
        return self.events[-1].id

    def save(self, step: int, print_: Any, path: str) -> str:
        return self.add(ev.SAVED, run=self.run, path=path, inside=True, step=step, fingerprint=list(print_))


def write(path: Path, text: str, ns: int) -> str:
    path.write_text(text)
    os.utime(path, ns=(ns, ns))
    return str(path)


def test_a_fingerprint_is_the_size_and_the_newest_time_of_the_files_of_that_name(tmp_path):
    write(tmp_path / "ckpt-5.index", "abc", 100)
    write(tmp_path / "ckpt-5.data-00000-of-00001", "abcde", 300)
    write(tmp_path / "ckpt-50.index", "other", 900)
    assert fingerprint(str(tmp_path / "ckpt-5")) == [8, 300]
    write(tmp_path / "ckpt-5.index", "abc", 500)
    assert fingerprint(str(tmp_path / "ckpt-5")) == [8, 500]
    write(tmp_path / "whole.json", "1", 7)
    assert fingerprint(str(tmp_path / "whole.json")) == [1, 7]


@pytest.mark.parametrize("path", ["ckpt-1", "none/ckpt-1", "", "gs://bucket/ckpt-1"])
def test_a_fingerprint_of_nothing_is_zeros(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    assert fingerprint(path) == [0, 0]


def test_a_file_that_vanishes_while_it_is_looked_at_does_not_hide_the_others(tmp_path):
    write(tmp_path / "ckpt-5.index", "abc", 100)
    (tmp_path / "ckpt-5.index.tempstate").symlink_to("gone")
    assert fingerprint(str(tmp_path / "ckpt-5")) == [3, 100]


@pytest.mark.parametrize(
    ("path", "model_dir", "expected"),
    [
        ("/m/ckpt-1", "/m", ("ckpt-1", True)),
        ("/m/deep/ckpt-1", "/m/", ("deep/ckpt-1", True)),
        ("m/ckpt-1", "m", ("ckpt-1", True)),
        ("/n/ckpt-1", "/m", ("/n/ckpt-1", False)),
        ("/mm/ckpt-1", "/m", ("/mm/ckpt-1", False)),
        ("ckpt-1", "/m", ("ckpt-1", False)),
        ("/m/ckpt-1", "m", ("/m/ckpt-1", False)),
    ],
)
def test_only_what_lies_in_the_model_directory_is_told_relative_to_it(path, model_dir, expected):
    assert shorten(path, model_dir) == expected


def test_a_name_that_is_no_path_is_not_taken_for_one_in_the_model_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shorten("latest", str(tmp_path)) == ("latest", False)
    writer = Writer()
    id_ = writer.add(ev.SAVED, run=writer.run, path="store:latest", inside=False, fingerprint=[0, 0])
    history = History(writer.events, str(tmp_path))
    assert history.saves == (Checkpoint(id_, "store:latest", None),)
    assert history.identify("store:latest") == history.saves[0]


def test_a_model_directory_may_be_moved(tmp_path):
    old = tmp_path / "old"
    old.mkdir()
    path = write(old / "ckpt-3", "abc", 100)
    writer = Writer()
    id_ = writer.save(3, fingerprint(path), shorten(path, str(old))[0])
    export = {"exporter": "best", "checkpoint": id_, "step": 3}
    writer.add(ev.EXPORTED, path="export/best/1", inside=True, **export)
    writer.add(ev.EXPORTED, path="/elsewhere/1", inside=False, **export)
    writer.add(ev.EXPORTED, path=None, **export)
    new = shutil.move(old, tmp_path / "new")
    history = History(writer.events, str(new))
    assert history.saves == (Checkpoint(id_, f"{new}/ckpt-3", 3),)
    assert history.identify(f"{new}/ckpt-3").id == id_
    assert [e.path for e in history.exports] == [f"{new}/export/best/1", "/elsewhere/1", None]


def test_after_a_rollback_one_path_stands_for_two_checkpoints_told_apart_by_their_files(tmp_path):
    first, second = Writer(), Writer("events-chief-0-bb", 2)
    path = write(tmp_path / "ckpt-500", "old", 100)
    old = first.save(500, fingerprint(path), "ckpt-500")
    before = History(first.events, str(tmp_path)).identify(path)
    write(tmp_path / "ckpt-500", "new", 200)
    new = second.save(500, fingerprint(path), "ckpt-500")
    history = History([*second.events, *first.events], str(tmp_path))
    assert [c.id for c in history.saves] == [old, new]
    assert (before, history.identify(path)) == (Checkpoint(old, path, 500), Checkpoint(new, path, 500))
    write(tmp_path / "ckpt-500", "old", 100)
    assert history.identify(path).id == old
    write(tmp_path / "ckpt-500", "cpy", 999)  # a copy that lost the times: the newest of this size
    assert history.identify(path).id == new
    (tmp_path / "ckpt-500").unlink()  # gone: the newest of this path
    assert history.identify(path).id == new


def test_a_checkpoint_that_no_event_tells_of_is_known_by_path_size_and_time(tmp_path):
    writer = Writer()
    writer.save(7, (1, 1), "ckpt-7")
    history = History(writer.events, str(tmp_path))
    path = write(tmp_path / "ckpt-7", "another size", 100)
    assert history.identify(path) == Checkpoint("ckpt-7:12:100", path, 7)
    path = write(tmp_path / "model.ckpt-000123", "x", 5)
    assert history.identify(path) == Checkpoint("model.ckpt-000123:1:5", path, 123)
    write(tmp_path / "model.ckpt-000123", "x", 6)
    assert history.identify(path).id == "model.ckpt-000123:1:6"
    path = write(tmp_path / "final", "x", 5)
    assert history.identify(path) == Checkpoint("final:1:5", path, None)
    assert history.identify("/nowhere/ckpt-9") == Checkpoint("/nowhere/ckpt-9:0:0", "/nowhere/ckpt-9", 9)


def test_a_path_may_be_written_in_several_ways_and_is_given_back_as_it_came(tmp_path):
    writer = Writer()
    id_ = writer.save(3, fingerprint(write(tmp_path / "ckpt-3", "abc", 100)), "ckpt-3")
    other = f"{tmp_path}//./ckpt-3"
    assert History(writer.events, str(tmp_path)).identify(other) == Checkpoint(id_, other, 3)
