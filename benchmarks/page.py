"""The page: docs/performance.md out of the results and the words of page.md."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.bars import STEADY_LIMIT, bars, cell
from benchmarks.measurement import Measurement

Found = list[Measurement]

_WORDS = Path(__file__).with_name("page.md")
_MET = {True: "yes", False: "**no**", None: "-"}
_REFERENCES = {
    "interleaved": "loop, position saved",
    "start": "loop, fused",
    "export": "model.export",
    "restore": "tf.train.Checkpoint",
    "follow": "checkpoints_iterator",
    "hooks": "expcore, no hook",
    "logging": "expcore, silent",
    "together": "strategy loop, data of its own",
}
"""The peer that the ratios of a job are to."""


def page(results: dict[str, Any]) -> str:
    """Returns the page of a run."""
    found = [Measurement.of_json(m) for m in results["measurements"]]
    filled = {
        "machine": _machine(results),
        "bars": _bars(found),
        "steady": _if(_steady, found, "steady"),
        "spent": _if(_spent, found, "spent"),
        "cycles": _if(_cycles, found, "cycles"),
        "left_out": _left_out(found),
    }
    for job, reference in _REFERENCES.items():
        filled[job] = _if(lambda given, to=reference: _side_by_side(given, to), found, job)
    text = _WORDS.read_text()
    for name, content in filled.items():
        text = text.replace(f"<!-- {name} -->", content)
    return text.rstrip() + "\n"


def _if(make: Callable[[Found], str], found: Found, job: str) -> str:
    chosen = [measurement for measurement in found if measurement.case.job == job]
    return make(chosen) if chosen else "Not measured in this run."


def _machine(results: dict[str, Any]) -> str:
    machine = results["machine"]
    lines = [f"{machine['cores']} cores, {machine['system']} on {machine['kind']}."]
    if results["quick"]:
        lines.append("This was a quick run: its figures show that everything works, and nothing else.")
    names = {"main": "all but tf.estimator", "estimator": "tf.estimator"}
    rows = (
        (names[name], ", ".join(f"{package} {version}" for package, version in versions.items()))
        for name, versions in results["versions"].items()
    )
    return " ".join(lines) + "\n\n" + table(("peers", "versions"), rows)


def _bars(found: Found) -> str:
    return table(
        ("bar", "limit", "measured", "met"),
        ((bar.text, bar.limit, bar.measured, _MET[bar.met]) for bar in bars(found)),
    )


def _steady(found: Found) -> str:
    by_model: dict[str, Found] = {}
    for measurement in found:
        by_model.setdefault(measurement.case.model, []).append(measurement)
    return "\n\n".join(_side_by_side(cases, STEADY_LIMIT) for cases in by_model.values())


def _side_by_side(found: Found, reference: str) -> str:
    """A row a peer, a column a case; and the rounds of each, where they differ."""
    peers = dict.fromkeys(peer for m in found for peer in m.samples)
    rows = [(peer, *(cell(m.ratio(peer, reference)) for m in found)) for peer in peers]
    rounds = [str(max(map(len, m.samples.values()))) for m in found]
    if len(set(rounds)) > 1:
        rows.append(("rounds", *rounds))
    return table(("peer", *(m.case.label for m in found)), rows)


def _spent(found: Found) -> str:
    """A row a part, a column a variant."""
    columns = {
        f"{peer}{', XLA' if m.case.jit else ''}": rounds for m in found for peer, rounds in m.samples.items()
    }
    rows = (
        (part, *(f"{100 * _middle(rounds, part):.0f} %" for rounds in columns.values()))
        for part in next(iter(columns.values()))[0]
    )
    return table(("part", *columns), rows)


def _cycles(found: Found) -> str:
    """A row a tenth of the run but the first, in which memory fills up."""
    peers = found[0].samples
    return table(("from cycle", *peers), (_tenth(list(peers.values()), n) for n in range(1, 10)))


def _tenth(curves: list[list[dict[str, float]]], n: int) -> list[str]:
    size = len(curves[0]) // 10
    cells = [f"{curves[0][n * size]['cycle']:.0f}"]
    for points in curves:
        first, now = (points[i * size : (i + 1) * size] for i in (1, n))
        secs = _middle(now, "secs") / _middle(first, "secs")
        gained = (_middle(now, "kilobytes") - _middle(first, "kilobytes")) / 1024
        cells.append(f"{secs:.2f}, {gained:+.1f} MB")
    return cells


def _middle(points: Iterable[dict[str, float]], key: str) -> float:
    return statistics.median(point[key] for point in points)


def _left_out(found: Found) -> str:
    why = {(peer, reason) for measurement in found for peer, reason in measurement.left_out.items()}
    return "## Left out\n\n" + table(("what", "why"), sorted(why)) if why else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
