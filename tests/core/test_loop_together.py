"""Several processes that make every step together: nothing that one of them does puts them out of step."""

from __future__ import annotations

import threading

from hypothesis import given, settings
from hypothesis import strategies as st

from expcore.loop import Advance, SaveRhythm, TrainingLoop
from expcore.testing import VirtualClock


class Meeting:
    """Where processes, threads here, exchange what they want; who comes for another thing is found out."""

    def __init__(self, n):
        self._barrier = threading.Barrier(n, timeout=20)
        self._brought = [None] * n

    def exchange(self, who, why, wish):
        self._brought[who] = (why, wish)
        self._barrier.wait()
        found = list(self._brought)
        self._barrier.wait()
        assert len({why for why, _ in found}) == 1, found
        return [wish for _, wish in found]

    def leave(self):
        self._barrier.abort()


class Joint:
    """An engine of one process of several; its clock runs as it likes."""

    def __init__(self, meeting, who, step_secs):
        self.meeting, self.who, self.step_secs = meeting, who, step_secs
        self.clock = VirtualClock()
        self.step, self.model, self.model_dir = 0, None, ""
        self.calls, self.saves = [], []

    def advance(self, n):
        n = min(self.meeting.exchange(self.who, "advance", n))
        self.clock.sleep(n * self.step_secs)
        self.step += n
        self.calls.append(n)
        return Advance(n, True, dict)

    def agree(self, stop, save, cut):
        found = self.meeting.exchange(self.who, "agree", (stop, save and self.who == 0, cut))
        return tuple(map(any, zip(*found, strict=True)))

    def save(self, hook_states):
        self.saves.append(self.step)
        return f"ckpt-{self.step}"

    def hook_states(self):
        return {}


class Every:
    """Wants control every so many steps, and may ask for a save or the end there."""

    def __init__(self, n, asks):
        self.n, self.asks = n, asks

    def next_step(self, step):
        return (step // self.n + 1) * self.n

    def after_steps(self, run):
        for at, what in self.asks:
            if run.step >= at:
                run.request_save() if what == "save" else run.request_stop(what)

    def after_save(self, run, path):
        run.clock.sleep(3.0)  # one process may take its time


class Timed:
    """Wants control every so many seconds."""

    def __init__(self, secs, waits):
        self.every_secs, self.waits = secs, waits

    def begin(self, run):
        run.clock.sleep(self.waits)

    def after_steps(self, run):
        run.clock.sleep(self.waits)


ASKS = st.lists(st.tuples(st.integers(1, 60), st.sampled_from(["save", "enough"])), max_size=2)
HOOKS = st.lists(
    st.one_of(
        st.builds(Every, st.integers(1, 20), ASKS),
        st.builds(Timed, st.sampled_from([0.0, 0.3, 2.5]), st.sampled_from([0.0, 0.7])),
    ),
    max_size=3,
)
PROCESS = st.tuples(HOOKS, st.sampled_from([0.001, 0.02, 0.5]))


def run_together(processes, until, save):
    meeting = Meeting(len(processes))
    engines = [Joint(meeting, i, secs) for i, (_, secs) in enumerate(processes)]
    errors = []

    def run(engine, hooks):
        loop = TrainingLoop(engine, hooks, until=until, save=save, clock=engine.clock)
        try:
            engine.run = loop.run()
        except BaseException as error:
            errors.append(error)
            meeting.leave()

    threads = [
        threading.Thread(target=run, args=(engine, hooks))
        for engine, (hooks, _) in zip(engines, processes, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors
    return engines


@settings(max_examples=150, deadline=None)
@given(
    st.lists(PROCESS, min_size=2, max_size=4),
    st.integers(1, 80),
    st.sampled_from([SaveRhythm(), SaveRhythm(steps=7), SaveRhythm(secs=1.0)]),
)
def test_all_processes_make_the_same_calls_and_saves_and_end_at_the_same_step(processes, until, save):
    engines = run_together(processes, until, save)
    first = engines[0]
    for other in engines[1:]:
        assert (other.calls, other.saves, other.step) == (first.calls, first.saves, first.step)
    assert first.saves[-1:] == [first.step] or first.step == 0
    assert first.step <= until


def test_the_end_is_asked_for_by_any_and_told_to_all():
    asks = Every(5, [(10, "enough")])
    engines = run_together([([], 0.01), ([asks], 0.01)], until=1000, save=SaveRhythm())
    assert [engine.step for engine in engines] == [10, 10]
    assert [engine.run.stop_reason for engine in engines] == ["asked by another process", "enough"]


def test_only_the_chief_decides_on_saves():
    asks = Every(5, [(5, "save")])
    by_worker = run_together([([], 0.01), ([asks], 0.01)], until=20, save=SaveRhythm())
    assert by_worker[0].saves == [20]
    by_chief = run_together([([asks], 0.01), ([], 0.01)], until=20, save=SaveRhythm())
    assert by_chief[1].saves == [5, 10, 15, 20]


def test_a_hook_that_stops_before_the_first_step_stops_all():
    class Stop:
        def begin(self, run):
            run.request_stop("signal")

    engines = run_together([([], 0.01), ([Stop()], 0.01)], until=20, save=SaveRhythm())
    assert [engine.calls for engine in engines] == [[], []]
    assert [engine.run.stop_reason for engine in engines] == ["signal in another process", "signal"]


def test_who_has_a_reason_of_its_own_keeps_it_where_another_has_a_signal():
    signalled, enough = Every(5, [(10, "signal")]), Every(5, [(10, "enough")])
    engines = run_together([([enough], 0.01), ([signalled], 0.01)], until=1000, save=SaveRhythm())
    assert [engine.run.stop_reason for engine in engines] == ["enough", "signal"]
