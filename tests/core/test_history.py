"""The history: what follows from the events of a model directory, whatever the order of its files."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expcore import events as ev
from expcore.errors import InvalidArgument
from expcore.events import Event
from expcore.history import History, due
from expcore.record import Record
from expcore.types import Checkpoint, Export, Skip, TrainingEnd

FILE = "events-chief-0-aa"


class Writer:
    """Makes the events of one process; its clock goes on by one second an event."""

    def __init__(self, file: str = FILE, time: float = 0.0) -> None:
        self.file, self.time, self.events = file, time, []

    def add(self, kind: str, **data: Any) -> Event:
        self.events.append(Event(kind, self.file, len(self.events), self.time, 0.0, data))
        self.time += 1
        return self.events[-1]

    def start(self, generation: int = 1, step: int | None = 0) -> str:
        run = f"{self.file}#{generation}"
        self.add(ev.TRAINING_STARTED, run=run, generation=generation, step=step)
        self.run = run
        return run

    def save(self, step: int | None, print_: Any = (0, 0), path: str | None = None) -> str:
        run = getattr(self, "run", None)
        name = path or f"ckpt-{step}"
        return self.add(ev.SAVED, run=run, path=name, inside=True, step=step, fingerprint=list(print_)).id

    def evaluate(self, checkpoint: str | None, step: int, name: str | None = None, **metrics: Any) -> None:
        source = metrics.pop("source", "eval")
        secs = metrics.pop("secs", 0.0)
        metrics["global_step"] = step
        self.add(
            ev.EVALUATED,
            checkpoint=checkpoint,
            step=step,
            metrics=metrics,
            name=name,
            source=source,
            secs=secs,
        )

    def end(self, step: int | None, **data: Any) -> None:
        self.add(ev.TRAINING_ENDED, run=self.run, step=step, **{"reason": "max_steps", **data})

    def history(self, model_dir: str = "m", *others: Writer) -> History:
        return History([*self.events, *(e for o in others for e in o.events)], model_dir)


def test_saves_stand_in_the_order_of_runs_and_steps_whatever_the_clocks_say():
    late, early = Writer("events-chief-0-bb", time=10_000), Writer("events-chief-0-aa", time=5)
    late.start(1)
    first = [late.save(100), late.save(200)]
    early.start(2, 100)
    then = [early.save(150), early.save(200)]
    assert [c.id for c in late.history("m", early).saves] == [*first, *then]
    assert [t.run for t in late.history("m", early).trainings] == [late.run, early.run]
    assert late.history("m", early).next_generation == 3


def test_saves_without_a_step_stand_in_the_order_of_their_lines():
    writer = Writer()
    writer.start()
    ids = [writer.save(None, path=f"p{n}") for n in range(12)]
    for id_ in reversed(ids):
        writer.evaluate(id_, 0, loss=1.0)
    history = writer.history()
    assert [c.id for c in history.saves] == ids
    assert [e.checkpoint for e in history.evaluations] == ids


def test_an_evaluation_of_an_unrecorded_checkpoint_stands_after_the_saves_up_to_its_step():
    writer = Writer()
    writer.start()
    ids = [writer.save(step) for step in (10, 20, 30)]
    for id_, step in [("x:1:1", 20), (ids[2], 30), (ids[1], 20), (ids[0], 10), ("y:1:1", 5), (None, 25)]:
        writer.evaluate(id_, step, loss=1.0)
    order = [e.checkpoint for e in writer.history().evaluations]
    assert order == ["y:1:1", ids[0], ids[1], "x:1:1", None, ids[2]]


def test_an_unrecorded_checkpoint_is_of_the_newest_run_that_has_come_so_far():
    first, second = Writer(), Writer("events-chief-0-bb", time=50)
    first.start(1)
    ids = [first.save(step) for step in (10, 20, 30)]
    second.start(2, 10)
    ids.append(second.save(20))
    for id_, step in [("x:1:1", 20), *zip(ids, (10, 20, 30, 20), strict=True)]:
        second.evaluate(id_, step, loss=1.0)
    assert [e.checkpoint for e in first.history("m", second).evaluations] == [*ids, "x:1:1"]


def test_of_several_evaluators_the_one_with_the_earlier_time_was_first():
    trainer, late, early = Writer(), Writer("events-evaluator-0-aa", 900), Writer("events-evaluator-1-bb", 7)
    id_ = trainer.save(10)
    late.evaluate(id_, 10, loss=1.0)
    early.evaluate(id_, 10, loss=2.0)
    assert trainer.history("m", late, early).evaluations[0].metrics["loss"] == 2.0


def test_a_clock_set_back_does_not_make_a_later_line_of_a_file_the_first():
    writer = Writer(time=1000)
    id_ = writer.save(10)
    writer.evaluate(id_, 10, loss=1.0)
    writer.add(ev.SKIPPED, what="export", reason="first")
    writer.time = 3.0
    writer.evaluate(id_, 10, loss=2.0)
    writer.add(ev.SKIPPED, what="export", reason="second")
    history = writer.history()
    assert history.evaluations[0].metrics["loss"] == 1.0
    assert history.evaluated(history.saves[0]).metrics["loss"] == 1.0
    assert [s.reason for s in history.skips] == ["first", "second"]


times = st.sampled_from([0.0, 1.0, 1.0, 2.0, 50.0])
names = st.sampled_from([None, None, "a", "b"])
kinds = st.one_of(
    st.tuples(st.just(ev.TRAINING_STARTED), st.integers(1, 3)),
    st.tuples(st.just(ev.SAVED), st.sampled_from([None, 5, 10]), st.integers(1, 2)),
    st.tuples(st.just(ev.EVALUATED), st.integers(0, 5), names, st.sampled_from([0.1, 0.2, math.nan])),
    st.tuples(st.just("by its files"), st.integers(0, 5), st.sampled_from([0.1, 0.2])),
    st.tuples(st.just(ev.EXPORTED), st.sampled_from(["best", "last"])),
    st.tuples(st.just(ev.SKIPPED), st.sampled_from(["vanished", "claimed"])),
    st.tuples(st.just(ev.TRAINING_ENDED), st.booleans()),
    st.tuples(
        st.just("of another version"),
    ),
)


def log(file: str, drawn: list[tuple[float, tuple[Any, ...]]]) -> list[Event]:
    writer = Writer(file)
    for time, (kind, *rest) in drawn:
        writer.time = time
        run = f"{file}#{len(writer.events) % 3 + 1}"
        if kind == ev.TRAINING_STARTED:
            writer.start(rest[0])
        elif kind == ev.SAVED:
            writer.run = run
            writer.save(rest[0], (rest[1], 1 + len(writer.events) + 10 * int(file[8])))
        elif kind == ev.EVALUATED:
            writer.evaluate(f"events-f0-x:{rest[0]}", rest[0], rest[1], loss=rest[2], **{f"m{file}": time})
        elif kind == "by its files":  # of the first file's saves, its event may come before or after this
            for size in (1, 2):
                files = f"ckpt-5:{size}:{1 + rest[0]}"
                writer.evaluate(files, 5, None, loss=rest[1])
                writer.add(ev.EXPORTED, exporter="first", checkpoint=files, path=None)
                writer.add(ev.SKIPPED, what="export", subject="x", checkpoint=files, reason="claimed")
        elif kind == ev.EXPORTED:
            writer.add(kind, exporter=rest[0], checkpoint=f"events-f0-x:{time}", path=None)
        elif kind == ev.SKIPPED:
            writer.add(kind, what="evaluation", reason=rest[0])
        elif kind == ev.TRAINING_ENDED:
            writer.add(kind, run=run, step=5, reason="max_steps", over=rest[0])
        else:
            writer.add(kind)
    return writer.events


def listed(history: History) -> str:
    names = ("saves", "evaluations", "train_evaluations", "exports", "skips", "training_ends", "trainings")
    return repr([getattr(history, name) for name in names])  # NaN is not equal to itself


def derived(history: History) -> str:
    said: list[Any] = [listed(history), history.next_generation, history.longest_evaluation]
    said += [history.identify("m/ckpt-5")]
    said += [history.best("loss"), history.best("loss", "max"), history.exported("best")]
    said += [history.evaluated(c) for c in history.saves]
    said += [history.exported("first", c.id) for c in history.saves]
    said += [due(n, history, step) for n in (None, 0, 1, 5) for step in (None, 3, 10)]
    return repr(said)


@given(st.lists(st.lists(st.tuples(times, kinds), max_size=6), min_size=2, max_size=3), st.randoms())
def test_nothing_depends_on_the_order_between_files_nor_on_how_they_are_interleaved(drawn, random):
    files = [log(f"events-f{i}-x", events) for i, events in enumerate(drawn)]
    expected = derived(History([event for file in files for event in file], "m"))
    random.shuffle(files)
    assert derived(History([event for file in files for event in file], "m")) == expected
    left, mixed = [list(reversed(file)) for file in files], []
    while any(left):
        mixed.append(random.choice([file for file in left if file]).pop())
    assert derived(History(mixed, "m")) == expected


@given(st.lists(st.lists(st.tuples(times, kinds), max_size=6), min_size=1, max_size=3), st.randoms())
def test_a_history_says_what_its_events_say_however_they_came_and_whatever_comes_later(drawn, random):
    left = [list(reversed(log(f"events-f{i}-x", events))) for i, events in enumerate(drawn)]
    record, came, told = Record("m"), [], []
    while any(left):
        came.append(random.choice([file for file in left if file]).pop())
        record.add(came[-1:])
        history = History.of(record)
        whole = History(came, "m")
        told.append((history, listed(whole), derived(whole)))
        assert (listed(history), derived(history)) == told[-1][1:]
    assert [listed(history) for history, _, _ in told] == [lists for _, lists, _ in told]
    if starts_first(came):  # else a later line may tell what number the training of an earlier save has
        assert [derived(history) for history, _, _ in told] == [expected for _, _, expected in told]


def starts_first(events: list[Event]) -> bool:
    """Whether no training is said to start after something else was said of it."""
    seen = set()
    for event in events:
        run = event.data.get("run")
        if event.kind == ev.TRAINING_STARTED and run in seen:
            return False
        seen.add(run)
    return True


def test_of_each_metric_the_first_recorded_value_counts_and_the_plain_evaluation_before_named_ones():
    writer = Writer()
    id_ = writer.save(10)
    writer.evaluate(id_, 10, "holdout", loss=5.0, auc=0.5)
    writer.evaluate(id_, 10, loss=1.0)
    writer.evaluate(id_, 10, loss=2.0, accuracy=0.9)
    writer.evaluate(id_, 10, source="train", loss=0.1)
    history = writer.history()
    (evaluation,) = history.evaluations
    assert (evaluation.checkpoint, evaluation.step, evaluation.name, evaluation.source) == (
        id_,
        10,
        None,
        "eval",
    )
    assert evaluation.metrics == {"loss": 1.0, "accuracy": 0.9, "auc": 0.5, "global_step": 10}
    assert [e.metrics["loss"] for e in history.train_evaluations] == [0.1]
    (checkpoint,) = history.saves
    assert history.evaluated(checkpoint).metrics == {"loss": 1.0, "global_step": 10}
    assert history.evaluated(checkpoint, name="holdout").metrics["loss"] == 5.0
    assert history.evaluated(checkpoint, "train").metrics["loss"] == 0.1
    assert history.evaluated(checkpoint, "train", "holdout") is None
    assert history.evaluated(Checkpoint("another", "p", 10)) is None


@pytest.mark.parametrize("evaluated_first", [True, False])
def test_a_checkpoint_that_is_evaluated_before_its_save_is_read_is_the_same_one(evaluated_first):
    chief, evaluator, record = Writer("events-chief-0-aa"), Writer("events-evaluator-0-bb"), Record("m")
    id_ = chief.save(5, (100, 7))
    evaluator.evaluate("ckpt-5:100:7", 5, loss=0.5)
    evaluator.add(ev.EXPORTED, exporter="latest", checkpoint="ckpt-5:100:7", step=5, path=None)
    evaluator.add(ev.SKIPPED, what="export", subject="best", checkpoint="ckpt-5:100:7", reason="claimed")
    both = [evaluator.events, chief.events]
    before = None
    for events in both if evaluated_first else reversed(both):
        record.add(events)
        before = before or History.of(record)
    history = History.of(record)
    assert [(e.checkpoint, e.metrics["loss"]) for e in history.evaluations] == [(id_, 0.5)]
    assert history.evaluated(Checkpoint(id_, "m/ckpt-5", 5)).checkpoint == id_
    assert history.best("loss").checkpoint == id_
    assert history.exported("latest", id_)
    assert [s.checkpoint for s in history.skips] == [id_]
    assert record.skipped("export", "best", id_, "claimed")
    if evaluated_first:  # what was said before stays as it was
        assert [e.checkpoint for e in before.evaluations] == ["ckpt-5:100:7"]


def test_evaluations_without_a_checkpoint_are_one_a_step():
    writer = Writer()
    for step, loss in [(5, 1.0), (5, 2.0), (6, 3.0)]:
        writer.evaluate(None, step, loss=loss)
    assert [(e.step, e.metrics["loss"]) for e in writer.history().evaluations] == [(5, 1.0), (6, 3.0)]


def test_the_longest_evaluation_is_the_longest_of_all_and_0_without_one():
    writer = Writer()
    assert writer.history().longest_evaluation == 0
    writer.evaluate("a", 1, secs=2.5)
    writer.evaluate("b", 2, secs=1.5, source="train")
    assert writer.history().longest_evaluation == 2.5


def evaluated(*values: Any, metric: str = "loss") -> History:
    writer = Writer()
    writer.start()
    for step, value in enumerate(values):
        writer.evaluate(writer.save(step), step, **({} if value == "missing" else {metric: value}))
    return writer.history()


@pytest.mark.parametrize(
    ("values", "mode", "step"),
    [
        ([3.0, 1.0, 2.0], "min", 1),
        ([3.0, 1.0, 4.0], "max", 2),
        ([2.0, 1.0, 1.0], "min", 1),  # ties to the earlier
        ([math.nan, 5.0, math.nan], "min", 1),
        ([math.nan, 5.0, math.inf], "max", 1),
        (["missing", 2, "missing"], "min", 1),
        (["text", [1.0], None, 2.0], "max", 3),
        ([math.nan, "missing"], "min", None),
        ([], "min", None),
    ],
)
def test_the_best_evaluation_is_the_first_of_the_best_numbers(values, mode, step):
    best = evaluated(*values).best("loss", mode)
    assert (best.step if best else None) == step


def test_the_best_is_the_lowest_if_not_told_otherwise_and_a_mode_is_min_or_max():
    assert evaluated(2.0, 1.0).best("loss").step == 1
    with pytest.raises(InvalidArgument, match="'min'"):
        evaluated(2.0).best("loss", "least")


def test_exports_and_skips_are_told_as_they_were_recorded():
    writer = Writer()
    writer.add(ev.EXPORTED, exporter="best", checkpoint="c", step=3, path="/x/1", final=True)
    writer.add(ev.EXPORTED, exporter="last")
    skip = {"what": "export", "subject": "best", "checkpoint": "c", "reason": "not-wanted", "detail": "so"}
    writer.add(ev.SKIPPED, **skip)
    writer.add(ev.SKIPPED, what="evaluation", reason="claimed")
    history = writer.history()
    assert history.exports == (Export("best", "c", 3, "/x/1", True), Export("last", None, None, None, False))
    assert history.skips == (Skip(**skip), Skip("evaluation", None, None, "claimed", ""))
    assert [history.exported(*q) for q in (("best",), ("best", "c"), ("best", "d"), ("x",))] == [
        *(True, True, False, False)
    ]


def test_the_ends_of_trainings_stand_in_the_order_of_the_runs_and_say_whether_it_is_over():
    second, first = Writer("events-chief-0-aa", time=5), Writer("events-chief-0-bb", time=90)
    first.start(1)
    first.end(40, reason="signal", checkpoint="c", steps=40, over=False)
    second.start(2, 40)
    second.end(None)
    lost = Writer("events-chief-0-cc")
    lost.run = "a run whose start is lost"
    lost.end(3, steps=None)
    assert first.history("m", second, lost).training_ends == (
        TrainingEnd("a run whose start is lost", 3, "max_steps", None, 0, True),
        TrainingEnd(first.run, 40, "signal", "c", 40, False),
        TrainingEnd(second.run, None, "max_steps", None, 0, True),
    )


def test_an_empty_history_says_nothing():
    history = History([], "m")
    assert (history.saves, history.evaluations, history.exports, history.skips) == ((), (), (), ())
    assert (history.training_ends, history.trainings, history.next_generation) == ((), (), 1)
    assert (history.seconds, history.checkpoint, history.best("loss")) == (0.0, None, None)


def test_a_checkpoint_may_be_put_in_hand_without_changing_anything_else():
    writer = Writer()
    writer.save(3)
    history = History(writer.events, "m", seconds=7.5)
    in_hand = history.at(history.saves[0])
    assert (in_hand.checkpoint, in_hand.seconds, in_hand.saves) == (history.saves[0], 7.5, history.saves)
    assert history.checkpoint is None


@pytest.mark.parametrize(
    ("n", "evaluated_at", "step", "expected"),
    [
        (None, [], 1000, False),
        (0, [], 1000, False),
        (10, [], None, False),
        (1, [], 1, True),
        (10, [], 9, False),
        (10, [], 10, True),
        (10, [10], 19, False),
        (10, [10], 20, True),
        (10, [10], 35, True),
        (10, [10, 25], 34, False),
        (10, [10, 25], 35, True),
        (1, [5], 5, False),
    ],
)
def test_an_evaluation_is_due_n_steps_after_the_last_one(n, evaluated_at, step, expected):
    writer = Writer()
    writer.start()
    for at in evaluated_at:
        writer.evaluate(writer.save(at), at, loss=1.0)
    assert due(n, writer.history(), step) is expected


def test_after_a_restart_the_log_says_when_the_next_evaluation_is_due():
    before, after = Writer(), Writer("events-chief-0-bb", time=100)
    before.start(1)
    before.evaluate(before.save(100), 100, loss=1.0)
    before.save(140)
    after.start(2, 140)
    history = before.history("m", after)
    assert [due(50, history, step) for step in (145, 149, 150)] == [False, False, True]


def test_a_step_that_is_written_again_after_going_back_is_due_though_the_old_one_was_evaluated():
    before, after = Writer(), Writer("events-chief-0-bb", time=100)
    before.start(1)
    for step in (100, 200):
        before.evaluate(before.save(step), step, loss=1.0)
    after.start(2, 200)
    assert not due(100, before.history("m", after), 200), "as far as is known nothing was written again"
    after.add(ev.TRAINING_STARTED, run=after.run, generation=2, step=100)
    history = before.history("m", after)
    assert [r.step for r in history.trainings] == [0, 100]
    assert due(100, history, 200)
    after.evaluate(after.save(200), 200, loss=1.0)
    assert [due(100, before.history("m", after), step) for step in (200, 299, 300)] == [False, False, True]


def test_after_a_rollback_the_next_save_is_due_and_from_there_on_every_n_steps():
    before, after = Writer(), Writer("events-chief-0-bb", time=100)
    before.start(1)
    for step in (100, 200, 300):
        before.evaluate(before.save(step), step, loss=1.0)
    after.start(2, 100)
    assert due(100, before.history("m", after), 120)
    after.evaluate(after.save(120), 120, loss=1.0)
    assert [due(100, before.history("m", after), step) for step in (200, 220)] == [False, True]


def test_evaluations_on_train_data_do_not_put_off_an_evaluation():
    writer = Writer()
    writer.evaluate(writer.save(10), 10, source="train", loss=1.0)
    assert due(10, writer.history(), 10)
