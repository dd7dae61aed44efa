"""Signs of life, and when whoever waits for a training may go: the rules of end markers."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from expcore import events as ev
from expcore.events import Event
from expcore.history import History
from expcore.passes.heartbeat import BEAT_SECS, Heartbeat, TrainingWatch


class Model:
    """A model directory with trainings in it, each of a process of its own."""

    def __init__(self, path: Path) -> None:
        self.path, self.events = str(path), []
        (path / "expcore").mkdir()

    @property
    def history(self) -> History:
        return History(self.events, self.path)

    def start(self, name: str, generation: int, time: float = 0.0, beats: bool = True) -> Trainer:
        return Trainer(self, name, generation, time, beats)


class Trainer:
    def __init__(self, model: Model, name: str, generation: int, time: float, beats: bool = True) -> None:
        self.model, self.name, self.run, self.time = model, name, f"{name}#{generation}", time
        self.generation = generation
        self.heart = Heartbeat(model.path, name, self.run)
        self._add(ev.TRAINING_STARTED, generation=generation)
        if beats:
            self.heart.beat(0, "training")

    def _add(self, kind: str, **data: Any) -> None:
        seq = sum(e.file == self.name for e in self.model.events)
        self.model.events.append(Event(kind, self.name, seq, self.time, 0.0, {"run": self.run, **data}))

    def beat(self, step: int | None = 1) -> None:
        self.heart.beat(step, "training")

    def end(self, step: int | None, reason: str = "input ended", over: bool = True) -> None:
        self._add(ev.TRAINING_ENDED, step=step, reason=reason, over=over)
        self.heart.beat(step, "ended")


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return Model(tmp_path)


A, B = "events-chief-0-aa", "events-chief-0-bb"


def watch(model: Model) -> Any:
    """Begins to wait now; the answer is the run whose end lets the waiter go, or None."""
    watching = TrainingWatch(model.path, model.history)

    def over(train_steps: int | None = None) -> str | None:
        end = watching.over(model.history, train_steps)
        return None if end is None else end.run

    return over


# The heartbeat.


def test_a_beat_is_a_file_beside_the_log_that_counts_on(model):
    heart = Heartbeat(model.path, A, "run")
    for step, state, counter in [(None, "training", 1), (5, "training", 2), (9, "ended", 3)]:
        heart.beat(step, state)
        (file,) = Path(model.path, "expcore").iterdir()
        assert file.name == "status-chief-0-aa.json"
        assert json.loads(file.read_text()) == {
            "run": "run",
            "counter": counter,
            "step": step,
            "state": state,
        }


def test_a_reader_never_sees_half_a_beat(model, monkeypatch):
    heart = Heartbeat(model.path, A, "run")
    heart.beat(1, "training")
    write = Path.write_text

    def cut(path: Path, text: str) -> None:
        write(path, text[:10])
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_text", cut)
    heart.beat(2, "training")
    assert json.loads((Path(model.path) / "expcore" / "status-chief-0-aa.json").read_text())["step"] == 1


def test_a_beat_that_cannot_be_written_is_a_warning_since_training_matters_more(tmp_path, caplog):
    Heartbeat(str(tmp_path / "gone"), A, "run").beat(1, "training")
    assert [r.levelno for r in caplog.records] == [logging.WARNING]
    assert "cannot be written" in caplog.text


def test_beats_come_more_often_than_anybody_gives_up():
    assert 0 < BEAT_SECS < 60


# Whoever waits.


def test_an_old_end_before_train_steps_does_not_let_a_waiter_go(model):
    trainer = model.start(A, 1)
    trainer.end(50)
    over = watch(model)
    assert [over(100), over(None), over(0)] == [None, None, None]


@pytest.mark.parametrize(("step", "let_go"), [(99, False), (100, True), (150, True), (None, False)])
def test_an_end_at_train_steps_lets_a_waiter_go_however_old_it_is(model, step, let_go):
    trainer = model.start(A, 1)
    trainer.end(step, "signal", over=False)
    assert (watch(model)(100) == trainer.run) is let_go


def test_a_run_whose_counter_changed_after_the_waiting_began_lets_the_waiter_go_with_its_end(model):
    trainer = model.start(A, 1)
    over = watch(model)
    assert over(100) is None
    trainer.beat()
    assert over(100) is None
    trainer.end(50)
    assert over(100) == trainer.run


def test_the_last_beat_alone_is_sign_enough(model):
    trainer = model.start(A, 1)
    over = watch(model)
    trainer.end(50)
    assert over(None) == trainer.run


def test_a_run_that_began_before_the_waiting_but_beat_first_after_it_was_seen_alive(model):
    trainer = model.start(A, 1, beats=False)
    over = watch(model)
    trainer.end(50)
    assert over(None) == trainer.run


def test_a_run_that_began_after_the_waiting_lets_the_waiter_go_with_its_end_even_without_a_heartbeat(model):
    over = watch(model)
    trainer = model.start(A, 1)
    for file in Path(model.path, "expcore").iterdir():
        file.unlink()
    assert over(100) is None
    trainer.end(50)
    for file in Path(model.path, "expcore").iterdir():
        file.unlink()
    assert over(100) == trainer.run


def test_a_newer_run_that_is_still_going_means_that_it_is_not_over(model):
    first = model.start(A, 1)
    over = watch(model)
    first.end(50)
    second = model.start(B, 2)
    assert over(100) is None
    second.beat()
    assert over(100) is None
    second.end(60)
    assert over(100) == second.run


def test_a_second_training_of_the_same_process_is_a_newer_run_too(model):
    model.start(A, 1).end(50)
    over = watch(model)
    again = model.start(A, 2)
    assert over(None) is None
    again.end(60)
    assert over(None) == again.run


@pytest.mark.parametrize("reason", ["signal", "RuntimeError: disk"])
def test_a_run_cut_by_a_signal_or_a_failure_may_be_started_again_so_the_waiter_waits(model, reason):
    over = watch(model)
    model.start(A, 1).end(50, reason, over=False)
    assert over(100) is None
    again = model.start(B, 2)
    assert over(100) is None
    again.end(100, "max_steps")
    assert over(100) == again.run


def test_a_trainer_not_yet_seen_or_silent_is_not_gone(model):
    over = watch(model)
    assert [over(100) for _ in range(5)] == [None] * 5
    model.start(A, 1)
    assert [over(100) for _ in range(5)] == [None] * 5


@pytest.mark.parametrize("times", [(0.0, 9e9), (9e9, 0.0), (-1e9, -1e9)])
def test_clocks_are_not_compared(model, times):
    old = model.start(A, 1, times[0])
    old.end(50)
    over = watch(model)
    assert over(100) is None
    new = model.start(B, 2, times[1])
    assert over(100) is None
    new.end(60)
    assert over(100) == new.run


@pytest.mark.parametrize("content", ["", "[]", "{", "3", '{"run": "x"}', '{"counter": 3}'])
def test_a_status_that_cannot_be_understood_says_nothing(model, content):
    trainer = model.start(A, 1)
    (Path(model.path) / "expcore" / "status-odd-0-x.json").write_text(content)
    (Path(model.path) / "expcore" / "status-odd-0-y.json").mkdir()
    over = watch(model)
    trainer.end(50)
    assert over(100) == trainer.run


def test_of_several_ends_at_train_steps_the_newest_is_told(model):
    model.start(A, 1).end(100)
    second = model.start(B, 2)
    second.end(100, "max_steps")
    assert watch(model)(100) == second.run
