"""What the benchmarks make of their samples: ratios, bars, the page; and the order of the turns."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import ClassVar

import pytest

from benchmarks.__main__ import in_order
from benchmarks.bars import bars
from benchmarks.case import Case
from benchmarks.jobs import JOBS, cases
from benchmarks.measurement import Measurement, Ratio
from benchmarks.page import page
from benchmarks.remote import WorkerError
from benchmarks.turns import fixed, steps_by_pace, take_turns


def measured(job, samples, **case):
    return Measurement(Case(job, **case), "step", samples)


def bar(found, text):
    (one,) = [b for b in bars(found) if b.text.startswith(text)]
    return one


def test_a_ratio_compares_rounds_that_were_measured_side_by_side():
    found = measured("steady", {"a": [2.0, 30.0, 3.0], "b": [1.0, 10.0, 2.0]})
    assert found.ratio("a", "b") == Ratio(2.0, 1.5, 3.0, 3)
    assert found.ratio("a", "c") is None
    assert found.fastest("a", "b") == "b"


def test_a_measurement_is_the_same_out_of_its_json():
    found = measured("steady", {"a": [1.0]}, model="conv", batch=512, jit=True)
    assert Measurement.of_json(json.loads(json.dumps(found.as_json()))) == found


@pytest.mark.parametrize(("ours", "met"), [(1.02, True), (1.024, True), (1.026, False)])
def test_steady_training_is_held_against_the_faster_of_the_fused_loops(ours, met):
    loops = {"loop, fused, metrics": [1.5], "loop, fused, metrics, reading ahead": [1.0]}
    assert bar([measured("steady", {**loops, "expcore": [ours]})], "steady").met is met


def test_one_case_that_misses_the_bar_misses_it_for_all():
    good = measured("steady", {"loop, fused, metrics": [1.0], "expcore": [0.8]})
    bad = measured("steady", {"loop, fused, metrics": [1.0], "expcore": [1.1]}, model="conv")
    one = bar([good, bad], "steady")
    assert one.met is False
    assert "conv" in one.measured
    assert "1 of 2" in one.measured


@pytest.mark.parametrize(("theirs", "met"), [(25.0, True), (24.9, False)])
def test_tf_estimator_is_to_be_so_many_times_slower(theirs, met):
    found = measured("interleaved", {"expcore": [1.0], "tf.estimator, by calls": [theirs]})
    assert bar([found], "interleaved: tf.estimator, by calls").met is met


def test_what_was_not_measured_is_neither_met_nor_missed():
    found = measured("interleaved", {"expcore": [1.0]})
    assert {b.met for b in bars([found])} == {None}


def curve(kilobytes_a_cycle, grows):
    return [
        {"cycle": n, "secs": 1 + grows * n / 1000, "kilobytes": 9e5 + kilobytes_a_cycle * n}
        for n in range(10, 1001, 10)
    ]


@pytest.mark.parametrize(("slope", "met"), [(4.9, True), (5.1, False)])
def test_memory_is_a_slope_over_the_warm_part(slope, met):
    points = curve(slope, 0)
    points[:10] = [{**p, "kilobytes": 0.0} for p in points[:10]]  # while caches fill up
    assert bar([measured("cycles", {"expcore": points})], "memory").met is met


@pytest.mark.parametrize(("grows", "met"), [(0.0, True), (0.2, False)])
def test_the_time_of_a_cycle_must_not_grow(grows, met):
    assert bar([measured("cycles", {"expcore": curve(0, grows)})], "time of a short cycle").met is met


def test_the_page_says_what_was_measured_and_what_was_not():
    found = measured("steady", {"loop, fused, metrics": [1.0, 1.0], "expcore": [0.9, 0.8]})
    found.left_out["orbit"] = "no wheel"
    results = {
        "machine": {"cores": 2, "system": "Linux", "kind": "x86_64"},
        "versions": {"main": {"tensorflow": "2.21.0"}},
        "quick": True,
        "measurements": [found.as_json()],
    }
    text = page(results)
    assert "| expcore | 0.85 (0.80 to 0.90) |" in text
    assert "quick run" in text
    assert "| orbit | no wheel |" in text
    assert text.count("Not measured in this run.") == 10
    assert "<!--" not in text


@pytest.mark.parametrize(("ours", "met"), [(1.03, True), (1.04, False)])
def test_two_processes_are_held_against_a_loop_under_the_same_strategy(ours, met):
    samples = {"expcore": [ours], "strategy loop": [1.0], "expcore, data of its own": [2.0]}
    assert bar([measured("together", samples)], "two processes, to a loop").met is met
    own = {"strategy loop, data of its own": [2.0]}
    assert bar([measured("together", {**samples, **own})], "two processes, data of its own").met is True
    assert bar([measured("together", samples)], "two processes, data of its own").met is None


def test_what_is_measured_again_takes_the_place_of_what_was():
    first = [measured("hooks", {"a": [1.0]}), measured("steady", {"a": [1.0]})]
    again = measured("hooks", {"a": [2.0]})
    kept = in_order([m.as_json() for m in (*first, again)])
    assert [(m["case"]["job"], m["samples"]["a"]) for m in kept] == [("steady", [1.0]), ("hooks", [2.0])]


class Worker:
    """Notes who has a turn; a round takes as many seconds as its peer's name has letters, a unit."""

    turns: ClassVar[list[tuple[str, int]]] = []

    def ask(self, do, peer=None, units=None, **_):
        if do == "peers":
            return ["loop", "broken", "ours"]
        if do == "start" and peer == "broken":
            raise WorkerError("Traceback\nValueError: it cannot")
        if do == "round":
            self.turns.append((peer, units))
            return units * len(peer) / 1000
        return None

    def close(self):
        pass


@pytest.fixture
def bench(tmp_path):
    Worker.turns = []
    return SimpleNamespace(
        size=SimpleNamespace(rounds=3),
        environments={"main": None},
        unavailable={},
        data=tmp_path,
        remote=lambda _: Worker(),
        place=lambda: str(tmp_path),
        say=lambda _: None,
    )


def test_peers_take_turns_forwards_and_backwards(bench):
    found = take_turns(bench, Case("steady"), "step", fixed(lambda _: 5))
    assert [peer for peer, _ in Worker.turns] == ["loop", "ours", "ours", "loop", "loop", "ours"]
    assert found.samples == {"loop": [0.004] * 3, "ours": [0.004] * 3}
    assert found.left_out == {"broken": "ValueError: it cannot"}


def test_all_peers_make_as_many_steps_as_the_reference_makes_in_the_time(bench):
    take_turns(bench, Case("steady"), "step", steps_by_pace("loop", secs=0.9))
    assert {units for _, units in Worker.turns[2:]} == {300}


def test_every_job_has_cases_and_models_choose_among_those_that_have_several():
    assert {c.job for c in cases(list(JOBS), ["mlp"], [32])} == set(JOBS)
    assert {(c.model, c.batch) for c in cases(["steady"], ["conv"], [512])} == {("conv", 512)}
