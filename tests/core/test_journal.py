"""The journal: one process's part of the log, and the history that it reads from all of them."""

from __future__ import annotations

import pytest

from expcore import events as ev
from expcore.errors import ExportFailed, PluginError, UnknownMetric
from expcore.passes.journal import Journal
from expcore.testing import VirtualClock


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def make(tmp_path, clock):
    def journal(task="local-0", latest=None, clock=clock):
        return Journal(str(tmp_path), task, clock, lambda: latest)

    return journal


def test_nothing_is_made_before_the_first_event(make, tmp_path):
    journal = make(latest=str(tmp_path / "ckpt-5"))
    assert journal.history.saves == ()
    assert (journal.latest().step, make().latest(), journal.identify(None)) == (5, None, None)
    assert list(tmp_path.iterdir()) == []
    journal.log.append(ev.FAILED)
    assert [p.name for p in (tmp_path / "expcore").iterdir()] == [f"{journal.log.name}.jsonl"]


def test_a_save_is_recorded_with_what_identifies_its_files(make, tmp_path):
    path = tmp_path / "ckpt-5"
    path.write_text("abc")
    journal, other = make(latest=str(path)), make(latest=str(path))
    saved = journal.saved("run", str(path), 5)
    assert (saved.path, saved.step) == (str(path), 5)
    assert journal.latest() == other.latest() == saved
    path.write_text("abcd")
    assert other.latest().id != saved.id


def test_the_history_is_read_again_only_where_something_was_added(make):
    journal, other = make(), make()
    journal.log.append(ev.FAILED)
    first = journal.history
    assert journal.history is first
    other.skip("export", "best", None, "failed", "")
    assert journal.history is not first
    assert len(journal.history.skips) == 1


def test_what_was_not_done_is_recorded_once_for_each_reason(make):
    journal = make()
    for reason in ("failed", "failed", "not-wanted"):
        journal.skip("export", "best", None, reason, "because")
    make().skip("export", "best", None, "failed", "in another process")
    journal.skip("export", "latest", None, "failed", "")
    journal.skip("evaluation", "best", None, "failed", "")
    assert [(s.what, s.subject, s.reason) for s in journal.history.skips] == [
        ("export", "best", "failed"),
        ("export", "best", "not-wanted"),
        ("export", "latest", "failed"),
        ("evaluation", "best", "failed"),
    ]


def test_files_that_a_save_is_recorded_to_have_had_are_known(make, tmp_path):
    path = tmp_path / "ckpt-5"
    path.write_text("abc")
    journal = make()
    journal.saved("run", str(path), 5)
    journal.saved("run", str(tmp_path / "ckpt-6"), 6)
    journal.saved("run", "memory:7", 7)
    path.unlink()
    assert [journal.history.had_files(str(tmp_path / f"ckpt-{n}")) for n in (5, 6, 8)] == [True, False, False]
    assert not journal.history.had_files("memory:7")


def test_seconds_are_those_of_this_task_over_all_its_starts(make, clock):
    for secs in (10, 20):
        earlier = make()
        earlier.log.append(ev.FAILED)
        clock.sleep(secs)
        earlier.log.append(ev.FAILED)
    other = make("worker-1")
    other.log.append(ev.FAILED)
    clock.sleep(100)
    other.log.append(ev.FAILED)
    journal = make()
    assert journal.history.seconds == 30
    journal.log.append(ev.FAILED)
    clock.sleep(7)
    assert journal.history.seconds == 37
    journal.log.append(ev.FAILED)
    assert journal.history.seconds == 37, "its own events are not counted twice"


def test_nothing_deferred_is_nothing_raised(make):
    make().raise_deferred()


def test_deferred_errors_are_raised_once_exporters_first(make):
    journal = make()
    export, observer = KeyError("export"), ValueError("observer")
    export.add_note("exporter 'best'")
    journal.defer_observers([observer])
    journal.defer_export(export)
    with pytest.raises(
        ExportFailed, match=r"KeyError: 'export' \(exporter 'best'\); training and eval"
    ) as caught:
        journal.raise_deferred()
    assert caught.value.__cause__.exceptions == (export, observer)
    journal.raise_deferred()
    journal.defer_observers([observer])
    with pytest.raises(PluginError, match="ValueError: observer") as caught:
        journal.raise_deferred()
    assert caught.value.__cause__ is observer
    journal.raise_deferred()


def test_deferred_errors_are_noted_on_one_that_ends_everything(make):
    journal, error = make(), RuntimeError()
    journal.defer_export(KeyError("export"))
    journal.defer_observers([ValueError("observer")])
    journal.note_deferred(error)
    assert error.__notes__ == ["before that: KeyError: 'export'", "before that: ValueError: observer"]
    journal.raise_deferred()


def test_a_failure_that_came_at_each_evaluation_is_told_once_with_its_count(make):
    journal = make()
    for _ in range(3):
        journal.defer_export(ValueError("no metric"))
    journal.defer_export(ValueError("another"))
    with pytest.raises(ExportFailed) as caught:
        journal.raise_deferred()
    assert str(caught.value).startswith("ValueError: no metric, 3 times; ValueError: another; training")


@pytest.mark.parametrize(("error", "code"), [(UnknownMetric("m"), 64), (ValueError("v"), 70)])
def test_the_exit_code_is_that_of_our_own_errors(make, error, code):
    journal = make()
    journal.defer_export(error)
    with pytest.raises(ExportFailed) as caught:
        journal.raise_deferred()
    assert caught.value.exit_code == code
