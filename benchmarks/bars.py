"""Bars: what was to be reached, beside what was measured."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import NamedTuple

from benchmarks.measurement import Measurement, Ratio

STEADY_LIMIT = "loop, fused, metrics"
OURS = "expcore"
BESIDE = "expcore, saving beside"
INDEXED = "indexed input"
_WARM = 10  # of the hundred points of a curve, the first tenth, in which memory fills up


class Bar(NamedTuple):
    """One bar.

    Attributes:
        text: what it is about.
        limit: what was to be reached, for people.
        measured: what was measured, for people.
        met: whether it was reached; None: not measured.
    """

    text: str
    limit: str
    measured: str
    met: bool | None


def bars(found: list[Measurement]) -> Iterator[Bar]:
    """Gives every bar in the order of the page."""
    by_job: dict[str, list[Measurement]] = {}
    for measurement in found:
        by_job.setdefault(measurement.case.job, []).append(measurement)
    yield _steady(by_job.get("steady", []))
    for measurement in by_job.get("interleaved", []):
        yield from _interleaved(measurement)
    for measurement in by_job.get("overhead", []):
        microseconds = 1e6 * measurement.median(OURS)
        yield Bar(
            "expcore's own time per compiled call, five hooks",
            "< 100 µs",
            f"{microseconds:.0f} µs",
            microseconds < 100,
        )
    yield from _together(by_job.get("together", []))
    for measurement in by_job.get("cycles", []):
        yield from _cycles(measurement)


def _together(measurements: list[Measurement]) -> Iterator[Bar]:
    for own in ("", ", data of its own"):
        text = f"two processes{own}, to a loop under the same strategy"
        ratios = {m.case.label: m.ratio(OURS + own, f"strategy loop{own}") for m in measurements}
        found = {label: ratio for label, ratio in ratios.items() if ratio}
        if not found:
            yield _missing(text, "<= 1.03")
            continue
        worst = max(found, key=lambda label: found[label].median)
        met = round(found[worst].median, 2) <= 1.03
        yield Bar(text, "<= 1.03", f"worst {cell(found[worst])} ({worst})", met)


def _steady(measurements: list[Measurement]) -> Bar:
    text = "steady training, to the faster of the fused loops with metrics"
    limits = [(m, m.fastest(STEADY_LIMIT)) for m in measurements]
    ratios = {m.case.label: m.ratio(OURS, limit) for m, limit in limits if limit and m.samples.get(OURS)}
    if not ratios:
        return _missing(text, "<= 1.02")
    met = sum(round(ratio.median, 2) <= 1.02 for ratio in ratios.values())
    worst = max(ratios, key=lambda label: ratios[label].median)
    middle = statistics.median(ratio.median for ratio in ratios.values())
    measured = f"median of cases {middle:.2f}; worst {cell(ratios[worst])} ({worst}); {met} of {len(ratios)}"
    return Bar(text, "<= 1.02", measured, met == len(ratios))


def _interleaved(measurement: Measurement) -> Iterator[Bar]:
    where = f"interleaved{', XLA' if measurement.case.jit else ''}"
    fit = measurement.fastest("fit") or "fit"
    for ours, theirs, text, most in (
        (OURS, "loop, position saved", "to the best loop, the same saved", 1.05),
        (OURS, "orbit, position saved", "to orbit, the same saved", 1.05),
        (OURS, fit, f"to {fit}, which saves the weights alone", 1.05),
        (BESIDE, "orbit", "saving beside, to orbit without the position", 1.0),
        (f"{OURS}, {INDEXED}", "orbit", "a cheap position (indexed input), to orbit without one", 1.0),
        (BESIDE, fit, f"saving beside, to {fit}", 1.0),
        (f"{OURS}, {INDEXED}", fit, f"a cheap position (indexed input), to {fit}", 1.0),
    ):
        yield _at_most(f"{where}: {text}", measurement.ratio(ours, theirs), most)
    for peer in ("tf.estimator", "tf.estimator, by calls", "tf.estimator, as taught"):
        yield _times_faster(f"{where}: {peer}, to expcore", measurement.ratio(peer, OURS), 25)


def _cycles(measurement: Measurement) -> Iterator[Bar]:
    for peer, points in measurement.samples.items():
        warm = points[len(points) * _WARM // 100 :]
        slope = statistics.linear_regression(
            [point["cycle"] for point in warm], [point["kilobytes"] for point in warm]
        ).slope
        tenth = max(1, len(warm) // 10)
        first, last = (
            statistics.median(point["secs"] for point in part) for part in (warm[:tenth], warm[-tenth:])
        )
        last_point = points[-1]["cycle"]
        yield Bar(
            f"memory over {last_point} short cycles, {peer}",
            "< 5 KB a cycle",
            f"{slope:.2f} KB a cycle",
            slope < 5,
        )
        yield Bar(
            f"time of a short cycle, last tenth to first, {peer}",
            "does not grow (<= 1.10)",
            f"{last / first:.2f}",
            last / first <= 1.10,
        )


def _at_most(text: str, ratio: Ratio | None, most: float) -> Bar:
    limit = f"<= {most:.2f}"
    if ratio is None:
        return _missing(text, limit)
    return Bar(text, limit, cell(ratio), round(ratio.median, 2) <= most)


def _times_faster(text: str, ratio: Ratio | None, least: float) -> Bar:
    limit = f">= {least:g} times faster"
    if ratio is None:
        return _missing(text, limit)
    return Bar(text, limit, cell(ratio), ratio.median >= least)


def _missing(text: str, limit: str) -> Bar:
    return Bar(text, limit, "not measured", None)


def cell(ratio: Ratio | None) -> str:
    """Says a ratio with its spread."""
    if ratio is None:
        return "-"
    digits = 2 if ratio.median < 10 else 1
    return f"{ratio.median:.{digits}f} ({ratio.least:.{digits}f} to {ratio.greatest:.{digits}f})"
