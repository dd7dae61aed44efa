"""profiler: which steps are in a trace, where it lies, and that no profiler is left running."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expcore.errors import CannotWrite, InvalidArgument
from expcore.testing import CountingEngine as Engine
from expcore.testing import drive as train
from expcore_plugins.hooks.profiler import Profiler

LOG = "expcore_plugins.hooks.profiler"


def trace_file(folder):
    (file,) = Path(folder).glob("*.xplane.pb")
    return file


def windows(directory):
    """The steps that each trace names, in their order, and the steps that it marks."""
    from tensorflow.tsl.profiler.protobuf.xplane_pb2 import XSpace

    found = {}
    for folder in Path(directory, "plugins", "profile").iterdir():
        space = XSpace.FromString(trace_file(folder).read_bytes())
        marks = [
            stat.int64_value
            for plane in space.planes
            for line in plane.lines
            for event in line.events
            if plane.event_metadata[event.metadata_id].name == "train"
            for stat in event.stats
            if plane.stat_metadata[stat.metadata_id].name == "step_num"
        ]
        first, last = map(int, folder.name.split("-steps-")[1].split("-"))
        found[first, last] = sorted(marks)
    return dict(sorted(found.items()))


def engine_in(directory, step=0, ends=None):
    engine = Engine(step=step, ends=ends)
    engine.model_dir = str(directory)
    return engine


def run_in(directory, until, step=0, hook=None, ends=None, others=()):
    engine = engine_in(directory, step, ends)
    train([hook or Profiler(), *others], until=until, engine=engine)
    return engine


def running():
    """Whether a profiler runs in this process."""
    import tensorflow as tf

    try:
        tf.profiler.experimental.stop(save=False)
    except tf.errors.UnavailableError:
        return False
    return True


@pytest.fixture
def somebody_elses(tmp_path):
    import tensorflow as tf

    tf.profiler.experimental.start(str(tmp_path / "theirs"))
    yield
    tf.profiler.experimental.stop()
    assert list((tmp_path / "theirs").rglob("*.xplane.pb"))


# --- which steps -----------------------------------------------------------------------------------------


@pytest.mark.tf
def test_the_steps_after_the_first_one_are_traced_each_with_a_mark(tmp_path):
    run_in(tmp_path, 50)
    assert windows(tmp_path) == {(11, 15): [11, 12, 13, 14, 15]}
    assert not running()


@pytest.mark.tf
def test_every_n_steps_windows_come_again_also_many_in_one_second(tmp_path):
    run_in(tmp_path, 45, hook=Profiler(start_step=3, steps=2, every_n_steps=10))
    assert windows(tmp_path) == {(n + 1, n + 2): [n + 1, n + 2] for n in (3, 13, 23, 33, 43)}


@pytest.mark.tf
def test_windows_may_follow_one_another(tmp_path):
    run_in(tmp_path, 8, hook=Profiler(start_step=0, steps=3, every_n_steps=3))
    assert windows(tmp_path) == {(1, 3): [1, 2, 3], (4, 6): [4, 5, 6], (7, 8): [7, 8]}


@pytest.mark.tf
@pytest.mark.parametrize(
    ("step", "found"), [(10, {(11, 15): [11, 12, 13, 14, 15]}), (13, {(14, 15): [14, 15]})]
)
def test_a_restart_in_a_window_traces_the_rest_of_it(tmp_path, step, found):
    run_in(tmp_path, 50, step=step)
    assert windows(tmp_path) == found


def test_a_restart_after_the_last_window_traces_nothing_and_says_so(tmp_path, caplog):
    caplog.set_level(logging.INFO, LOG)
    engine = run_in(tmp_path, 50, step=15)
    assert list(tmp_path.iterdir()) == []
    (record,) = caplog.records
    assert "goes on from step 15, after the steps 11 to 15: nothing is traced" in record.getMessage()
    plain = engine_in(tmp_path, 15)
    train([], until=50, engine=plain)
    assert engine.calls == plain.calls, "and costs nothing"


@pytest.mark.tf
def test_a_restart_between_windows_waits_for_the_next(tmp_path, caplog):
    caplog.set_level(logging.INFO, LOG)
    run_in(tmp_path, 50, step=17, hook=Profiler(every_n_steps=20))
    assert windows(tmp_path) == {(31, 35): [31, 32, 33, 34, 35]}
    assert "goes on from" not in caplog.text


@given(
    start=st.integers(0, 30),
    steps=st.integers(1, 10),
    gap=st.none() | st.integers(0, 20),
    step=st.integers(0, 100),
)
def test_control_is_asked_for_at_every_step_of_a_window_and_nowhere_else(start, steps, gap, step):
    n = None if gap is None else steps + gap
    starts = [start] if n is None else range(start, 300, n)
    stops = sorted({first + i for first in starts for i in range(steps + 1)})
    hook = Profiler(start, steps, n)
    assert hook.next_step(step) == next((s for s in stops if s > step), None)


@pytest.mark.tf
def test_steps_outside_the_windows_run_as_if_it_were_not_there(tmp_path):
    engine = run_in(tmp_path, 1000, hook=Profiler(start_step=400, steps=3))
    plain = engine_in(tmp_path)
    train([], until=1000, engine=plain)
    assert engine.calls.count(1) == plain.calls.count(1) + 3
    assert len(engine.calls) <= len(plain.calls) + 5


# --- windows that are cut short ---------------------------------------------------------------------------


class At:
    """Does something after one step."""

    def __init__(self, step, act):
        self.step, self.act = step, act

    def next_step(self, step):
        return self.step if step < self.step else None

    def after_steps(self, run):
        if run.step == self.step:
            self.act(run)


def boom(run):
    raise RuntimeError("boom")


@pytest.mark.tf
@pytest.mark.parametrize(
    ("until", "ends", "stop"), [(13, None, None), (None, 13, None), (None, None, 13), (13, 13, 13)]
)
def test_a_window_that_the_end_of_the_run_cuts_short_is_written_as_far_as_it_came(
    tmp_path, until, ends, stop
):
    others = [] if stop is None else [At(stop, lambda run: run.request_stop("asked"))]
    run_in(tmp_path, until, ends=ends, others=others)
    ((steps, marks),) = windows(tmp_path).items()
    assert steps == (11, 13)
    assert marks[:3] == [11, 12, 13]
    assert not running()


@pytest.mark.tf
def test_the_last_save_of_a_run_is_not_in_a_window_that_the_runs_last_step_ends(tmp_path):
    class Saving(Engine):
        def save(self, hook_states):
            written.append(list(windows(tmp_path)))
            return super().save(hook_states)

    written = []
    engine = Saving()
    engine.model_dir = str(tmp_path)
    train([Profiler()], until=13, engine=engine)
    assert written == [[(11, 13)]]


@pytest.mark.tf
def test_a_window_that_a_failure_cuts_short_is_written_as_far_as_it_came(tmp_path):
    with pytest.raises(RuntimeError, match="boom"):
        run_in(tmp_path, 50, others=[At(13, boom)])
    assert list(windows(tmp_path)) == [(11, 13)]
    assert not running()


@pytest.mark.tf
def test_where_no_step_was_made_nothing_is_written(tmp_path, caplog):
    hook = Profiler(start_step=0)

    class Stop:
        def begin(self, run):
            run.request_stop("at once")

    class Fail:
        def begin(self, run):
            spoil(tmp_path)
            raise RuntimeError("boom")

    run_in(tmp_path, 50, hook=hook, others=[Stop()])
    with pytest.raises(RuntimeError, match="boom"):
        run_in(tmp_path, 50, hook=hook, others=[Fail()])
    run_in(tmp_path, 0, hook=hook)
    assert caplog.text == ""
    assert not running()
    assert list(tmp_path.iterdir()) == []


def test_a_failure_before_it_has_begun_is_nothing_to_it(tmp_path):
    class Fail:
        def begin(self, run):
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom") as raised:
        train([Fail(), Profiler()], until=50, engine=engine_in(tmp_path))
    assert not any("failed()" in note for note in raised.value.__notes__)


@pytest.mark.tf
def test_one_hook_serves_one_run_after_the_other(tmp_path):
    hook = Profiler(every_n_steps=10, steps=1)
    run_in(tmp_path, 15, hook=hook)
    run_in(tmp_path, 25, step=15, hook=hook)
    run_in(tmp_path / "again", 15, hook=hook)
    run_in(tmp_path / "once more", 15, hook=hook)
    assert list(windows(tmp_path)) == [(11, 11), (21, 21)]
    assert list(windows(tmp_path / "again")) == list(windows(tmp_path / "once more")) == [(11, 11)]


# --- a profiler that runs already -------------------------------------------------------------------------


@pytest.mark.tf
def test_somebody_elses_profiler_is_told_once_a_run_and_not_disturbed(tmp_path, somebody_elses, caplog):
    hook = Profiler(every_n_steps=10)
    for _ in range(2):
        run_in(tmp_path / "model", 50, hook=hook)
        (record,) = caplog.records
        assert "another profiler is running in this process: the steps from 11 on" in record.getMessage()
        caplog.clear()
    assert list((tmp_path / "model").iterdir()) == []


@pytest.mark.tf
def test_a_window_that_could_not_begin_is_left_out_and_the_next_one_is_there(tmp_path):
    import tensorflow as tf

    tf.profiler.experimental.start(str(tmp_path / "theirs"))
    theirs = At(12, lambda run: tf.profiler.experimental.stop())
    run_in(tmp_path, 50, hook=Profiler(every_n_steps=20), others=[theirs])
    assert list(windows(tmp_path)) == [(31, 35)]


@pytest.mark.tf
def test_of_two_in_one_training_the_second_leaves_the_window_to_the_first(tmp_path, caplog):
    run_in(tmp_path, 50, others=[Profiler()])
    assert windows(tmp_path) == {(11, 15): [11, 12, 13, 14, 15]}
    assert caplog.text.count("another profiler is running") == 1


@pytest.mark.tf
def test_a_trace_that_somebody_else_stops_is_lost_and_told(tmp_path, caplog):
    import tensorflow as tf

    run_in(tmp_path, 50, others=[At(12, lambda run: tf.profiler.experimental.stop(save=False))])
    assert "the trace from step 11 on is lost: somebody else stopped the profiler" in caplog.text
    assert list(tmp_path.iterdir()) == []


# --- where it is written ----------------------------------------------------------------------------------


@pytest.mark.tf
def test_another_directory_can_be_given_and_is_made(tmp_path, caplog):
    caplog.set_level(logging.INFO, LOG)
    run_in(tmp_path / "model", 50, hook=Profiler(directory=tmp_path / "traces" / "a"))
    assert list(windows(tmp_path / "traces" / "a")) == [(11, 15)]
    assert not (tmp_path / "model").exists()
    assert "the trace of steps 11 to 15 is " in caplog.text


@pytest.mark.tf
def test_nothing_else_is_left_in_the_directory_and_what_a_killed_process_left_is_removed(tmp_path):
    code = (
        "import os, sys\n"
        "from expcore.temporary import temporary_directory\n"
        "kept = temporary_directory(sys.argv[1])\n"
        "kept.__enter__()\n"
        "os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert len(list(tmp_path.iterdir())) == 1
    run_in(tmp_path, 50)
    assert os.listdir(tmp_path) == ["plugins"]
    assert os.listdir(tmp_path / "plugins") == ["profile"]


@pytest.mark.tf
def test_a_directory_that_cannot_be_made_fails_the_run_before_the_window(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CannotWrite, match=r"hook 'profiler': no trace can be written in .*file/below"):
        run_in(tmp_path, 50, hook=Profiler(directory=tmp_path / "file" / "below"))
    assert not running()


def spoil(directory):
    """Puts a file where TensorFlow would write."""
    (temporary,) = Path(directory).glob(".tmp-*")
    (temporary / "plugins").write_text("in the way")


@pytest.mark.tf
def test_a_trace_that_cannot_be_written_fails_the_run(tmp_path):
    with pytest.raises(CannotWrite, match=r"no trace can be written in .*; make room or permissions"):
        run_in(tmp_path, 50, others=[At(12, lambda run: spoil(tmp_path))])
    assert not running()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.tf
def test_where_the_run_fails_anyway_a_trace_that_cannot_be_written_is_only_logged(tmp_path, caplog):
    def fail(run):
        spoil(tmp_path)
        boom(run)

    with pytest.raises(RuntimeError, match="boom") as raised:
        run_in(tmp_path, 50, others=[At(12, fail)])
    assert not any("failed()" in note for note in raised.value.__notes__)
    assert "no trace can be written" in caplog.text
    assert not running()


# --- arguments --------------------------------------------------------------------------------------------


def test_the_module_and_the_hook_do_without_tensorflow_until_a_window_begins(tmp_path):
    code = (
        "import sys\n"
        "from expcore.testing import CountingEngine, drive\n"
        "from expcore_plugins.hooks.profiler import Profiler\n"
        "assert Profiler.requires == 'tensorflow'\n"
        "drive([Profiler(start_step=20)], until=20)\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start_step": -1}, "start_step is -1; it must be a whole number of at least 0"),
        ({"steps": 0}, "steps is 0; it must be a whole number of at least 1"),
        ({"every_n_steps": 0}, "every_n_steps is 0; it must be a whole number of at least 1"),
        ({"every_n_steps": 4}, "every_n_steps is 4 and steps is 5; windows must not overlap"),
        ({"directory": 3}, "directory is 3; it must be a path"),
        ({"directory": ""}, "directory is ''; it must be a path"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(InvalidArgument, match=f"hook 'profiler': {message}"):
        Profiler(**arguments)


def test_a_directory_that_cannot_be_made_is_told_before_the_first_step(tmp_path):
    (tmp_path / "file").write_text("")
    engine = Engine()
    with pytest.raises(CannotWrite, match="no trace can be written in"):
        train([Profiler(start_step=50, directory=tmp_path / "file")], until=100, engine=engine)
    assert engine.calls == []
