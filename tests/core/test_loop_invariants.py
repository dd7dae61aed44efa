"""What holds of the training loop whatever the rhythms of hooks and saves, the input and the pace."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from expcore.loop import Advance, SaveRhythm, TrainingLoop
from expcore.rhythm import MAX_CALL_SECS
from expcore.testing.clock import VirtualClock


class Engine:
    """Makes steps of the same length while there is input."""

    model, model_dir = None, "m"

    def __init__(self, step: int, batches: int, secs: float) -> None:
        self.step, self.left, self.secs, self.clock = step, batches, secs, VirtualClock()
        self.calls: list[tuple[int, int]] = []
        self.saves: list[tuple[int, float]] = []

    def advance(self, n: int) -> Advance:
        self.calls.append((self.step, n))
        done = min(n, self.left)
        self.left -= done
        self.step += done
        self.clock.sleep(done * self.secs)
        return Advance(done, done == n, dict)

    def save(self, hook_states: Any) -> str:
        self.saves.append((self.step, self.clock.monotonic()))
        return str(self.step)

    def hook_states(self) -> dict[str, Any]:
        return {}


class Every:
    """Wants the multiples of n, or every so many seconds."""

    def __init__(self, n: int | None, secs: float | None) -> None:
        self.n, self.every_secs = n, secs
        self.seen: list[int] = []
        self.at: list[float] = []
        self.endings: list[bool] = []

    def next_step(self, step: int) -> int | None:
        return None if self.n is None else (step // self.n + 1) * self.n

    def after_steps(self, run: Any) -> None:
        assert not run.ending
        self.seen.append(run.step)
        self.at.append(run.clock.monotonic())

    def after_save(self, run: Any, path: str) -> None:
        assert path == str(run.step)
        self.endings.append(run.ending)


seconds = st.sampled_from([0.5, 1.0, 2.5, 7.0])
hooks = st.builds(Every, st.integers(1, 9), st.none()) | st.builds(Every, st.none(), seconds)
rhythms = st.builds(SaveRhythm, st.none() | st.integers(1, 10), st.none() | seconds)
paces = st.sampled_from([0.0, 2**-6, 0.125, 0.25, 1.0, 3.0])  # exact in binary, so that sums are too


@given(
    st.lists(hooks, max_size=4), rhythms, st.integers(0, 12), st.integers(0, 50), st.integers(0, 60), paces
)
def test_whatever_the_rhythms_steps_are_kept_and_calls_are_no_shorter_than_they_must_be(
    hooks, rhythm, start, batches, until, secs
):
    engine = Engine(start, batches, secs)
    run = TrainingLoop(engine, hooks, until=until, save=rhythm, clock=engine.clock).run()

    last = max(start, min(until, start + batches))
    assert run.step == engine.step == last
    assert run.stop_reason == ("max_steps" if last >= until else "input ended")
    assert all(step + n <= until for step, n in engine.calls)
    fit = max(1, int(MAX_CALL_SECS / secs)) if secs else 10**9
    made = [0, *accumulate((n for _, n in engine.calls), max)]
    most = [min(fit, max(1, 10 * before)) for before in made]
    assert all(n <= limit for (_, n), limit in zip(engine.calls, most, strict=False))

    for hook in hooks:
        assert hook.seen[-1] == last
        assert hook.seen == sorted(set(hook.seen))
        if hook.n is not None:
            assert hook.seen == [s for s in range(start + 1, last) if s % hook.n == 0] + [last]
        else:
            # Never too early, and never a step later than it must be.
            times = [0.0, *hook.at]
            assert all(b - a >= hook.every_secs for a, b in pairwise(times[:-1]))
            assert all(b - a < hook.every_secs + max(secs, 2**-9) for a, b in pairwise(times))

    stops = {start + 1, last, *(s for s, _ in engine.saves), *(s for h in hooks for s in h.seen)}
    for (step, n), limit in zip(engine.calls, most, strict=False):
        assert step + n in stops or n == limit or step + n > last


@given(st.lists(hooks, max_size=2), rhythms, st.integers(0, 50), paces)
def test_the_last_save_is_at_the_last_step_and_saves_are_no_more_often_than_asked_for(
    hooks, rhythm, batches, secs
):
    engine = Engine(5, batches, secs)
    run = TrainingLoop(engine, hooks, until=None, save=rhythm, clock=engine.clock).run()

    assert [s for s, _ in engine.saves][-1:] == ([run.step] if batches else [])
    for (step, at), (after, then) in pairwise([(5, 0.0), *engine.saves]):
        by_steps = rhythm.steps is not None and after - step == rhythm.steps
        by_secs = rhythm.secs is not None and 0 <= then - at - rhythm.secs < max(secs, 2**-9)
        assert by_steps or by_secs or after == run.step
        assert rhythm.steps is None or after - step <= rhythm.steps
        assert rhythm.secs is None or secs == 0 or then - at < rhythm.secs + secs
    for hook in hooks:
        assert len(hook.endings) == len(engine.saves)
        assert not any(hook.endings[:-1])
        # A save on the very step where the input turns out to have ended could not know it.
        assert all(hook.endings[-1:]) or engine.calls[-1][0] == run.step
