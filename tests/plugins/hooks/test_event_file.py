"""Event files: in which order readers find them, and the mark that each begins with."""

from __future__ import annotations

import pytest

from expcore.testing.clock import VirtualClock
from expcore_plugins.hooks.event_file import EventFile

pytestmark = pytest.mark.tf


def records(path):
    from tensorflow.compat.v1 import Event
    from tensorflow.data import TFRecordDataset

    return [Event.FromString(record.numpy()) for record in TFRecordDataset(str(path))]


def test_a_file_begins_with_version_and_mark_and_has_the_clocks_time(tmp_path):
    clock = VirtualClock(1000.5)
    file = EventFile(str(tmp_path), clock, first_step=7)
    clock.sleep(1)
    file.scalars(10, {"loss": 0.5, "acc": 1.0})
    file.close()
    (path,) = tmp_path.iterdir()
    version, mark, point = records(path)
    assert (version.file_version, version.wall_time) == ("brain.Event:2", 1000.5)
    assert (mark.step, mark.session_log.status) == (7, mark.session_log.START)
    assert (point.step, point.wall_time) == (10, 1001.5)
    assert [(v.tag, v.simple_value) for v in point.summary.value] == [("loss", 0.5), ("acc", 1.0)]


def test_points_are_on_disk_before_the_file_is_closed(tmp_path):
    file = EventFile(str(tmp_path), VirtualClock(), first_step=1)
    file.scalars(10, {"loss": 0.5})
    (path,) = tmp_path.iterdir()
    assert [r.step for r in records(path)] == [0, 1, 10]
    file.close()


@pytest.mark.parametrize("now", [0, 1000, 999_999, 3_000_000_000])
def test_names_sort_after_all_that_are_there_whatever_the_clock_says(tmp_path, now):
    before = [f"events.out.tfevents.{secs}.host.1.v2" for secs in (1_000_000_000, 1_500_000_000)]
    for name in (*before, "other", "events.out.tfevents.nonsense", "checkpoint"):
        (tmp_path / name).touch()
    for _ in range(12):
        EventFile(str(tmp_path), VirtualClock(now), first_step=1).close()
        there = {p.name for p in tmp_path.iterdir() if p.name.endswith(".v2")}
        before += sorted(there - set(before))
    assert len(before) == 14
    assert before == sorted(before)


def test_the_directory_is_made(tmp_path):
    EventFile(str(tmp_path / "a" / "b"), VirtualClock(), first_step=1).close()
    assert len(list((tmp_path / "a" / "b").iterdir())) == 1
