"""Measurement: what was found out about a case, every sample of every peer."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from benchmarks.case import Case


class Ratio(NamedTuple):
    """A peer against another, from the rounds that both were in: the median, the least and the greatest."""

    median: float
    least: float
    greatest: float
    rounds: int


@dataclass
class Measurement:
    """Samples of one case.

    Attributes:
        case: what was measured.
        unit: what a sample is the time (or size) of.
        samples: by peer, one a round, in the order of the rounds; of the jobs that are a curve, its points.
        left_out: why a peer is not there.
        size: how much was measured, the numbers of a ``Size``.
    """

    case: Case
    unit: str
    samples: dict[str, list[Any]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    size: dict[str, Any] = field(default_factory=dict)

    def ratio(self, peer: str, reference: str) -> Ratio | None:
        """Returns how much longer a peer takes than another, round by round; None where one is missing."""
        if not (self.samples.get(peer) and self.samples.get(reference)):
            return None
        pairs = zip(self.samples[peer], self.samples[reference], strict=False)
        ratios = [ours / theirs for ours, theirs in pairs]
        return Ratio(statistics.median(ratios), min(ratios), max(ratios), len(ratios))

    def median(self, peer: str) -> float:
        """Returns the median of a peer's samples."""
        return statistics.median(self.samples[peer])

    def fastest(self, *prefixes: str) -> str | None:
        """Returns the peer with the least median among those whose names begin so."""
        found = [p for p in self.samples if p.startswith(prefixes) and self.samples[p]]
        return min(found, key=self.median, default=None)

    def as_json(self) -> dict[str, Any]:
        """Returns it as a mapping."""
        return asdict(self)

    @classmethod
    def of_json(cls, found: dict[str, Any]) -> Measurement:
        """Makes it from such a mapping."""
        return cls(**{**found, "case": Case(**found["case"])})
