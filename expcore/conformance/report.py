"""Report: what came out of every clause, and whether that is enough."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from expcore.conformance.clause import MUST
from expcore.errors import EXIT_SOFTWARE, ExpcoreError

PASSED, FAILED, XFAIL, SKIPPED, BLOCKED = "passed", "failed", "xfail", "skipped", "blocked"
STATUSES = (PASSED, FAILED, XFAIL, SKIPPED, BLOCKED)


class ConformanceError(ExpcoreError, AssertionError):
    """A component does not keep the promises of its kind; the message has every clause."""

    exit_code = EXIT_SOFTWARE


@dataclass(frozen=True)
class Result:
    """What came out of one clause.

    Attributes:
        id: the clause's.
        status: "passed"; "failed"; "xfail" (failed, as was expected); "skipped" (not declared, or what it
            needs is not here); "blocked" (a clause without which it says nothing did not pass).
        level: "MUST" or "SHOULD".
        message: clause, component, what was seen, what was expected, how to mend it; for "skipped",
            "blocked" and "xfail" the reason.
        title: the promise.
        link: where it is described.
        seconds: how long it took.
        counts: whether the clause belongs to the floor: what every component of the kind has to be tried on.
        note: something worth knowing that is no fault, such as an undeclared capability that works.
    """

    id: str
    status: str
    level: str
    message: str
    title: str
    link: str
    seconds: float = 0.0
    counts: bool = False
    note: str = ""


@dataclass(frozen=True)
class Report:
    """What came out of all clauses.

    Attributes:
        component: what was tried, for people.
        kind: its kind.
        results: one a clause, in the order of their ids.
        whole: False where only some clauses were asked for; then the floor is one of them.
        missing: what the component needs and is not here; then nothing could be tried, for no fault of its.
    """

    component: str
    kind: str
    results: Sequence[Result]
    whole: bool = True
    missing: Sequence[str] = ()

    @property
    def total(self) -> int:
        """How many clauses there are for such a component."""
        return len(self.results)

    @property
    def ran(self) -> int:
        """How many of them were tried: passed, failed or xfail."""
        return sum(r.status in (PASSED, FAILED, XFAIL) for r in self.results)

    @property
    def floor(self) -> int:
        """How many have to be tried at least: every MUST that needs no capability and nothing else."""
        return sum(r.counts for r in self.results) if self.whole else 1

    @property
    def below_floor(self) -> bool:
        """Whether fewer were tried than have to be; then nothing is proved."""
        if self.missing:
            return False
        if not self.whole:
            return self.ran < self.floor
        return self.ran == 0 or bool(self._untried)

    @property
    def _untried(self) -> list[str]:
        """Ids of the floor that were not tried; what a MUST that failed has blocked is told by that."""
        failed = any(r.level == MUST for r in self.failures)
        silent = (SKIPPED,) if failed else (SKIPPED, BLOCKED)
        return [r.id for r in self.results if r.counts and r.status in silent]

    @property
    def counts(self) -> dict[str, int]:
        """Number of clauses by status."""
        found = Counter(r.status for r in self.results)
        return {status: found[status] for status in STATUSES}

    @property
    def failures(self) -> list[Result]:
        """What failed, MUST and SHOULD."""
        return [r for r in self.results if r.status == FAILED]

    @property
    def ok(self) -> bool:
        """Whether every MUST that was tried is kept, and enough was tried."""
        return self.passes()

    def passes(self, fail_on: str = "must") -> bool:
        """Whether it is good enough.

        Args:
            fail_on: "must": a SHOULD that fails is told, no more; "should": it counts as well.
        """
        serious = [r for r in self.failures if fail_on == "should" or r.level == MUST]
        return not serious and not self.below_floor

    @property
    def summary(self) -> str:
        """One line: the component, how many clauses ran of how many, and what came out."""
        counts = ", ".join(f"{n} {status}" for status, n in self.counts.items() if n)
        return f"{self.component}: ran {self.ran} of {self.total} clauses ({counts or 'nothing to try'})"

    def raise_for_failures(self, fail_on: str = "must") -> None:
        """Raises ConformanceError with every failure, where it is not good enough."""
        if self.passes(fail_on):
            return
        lines = [self.summary, *(r.message for r in self.failures)]
        if self.below_floor:
            lines.append(self.untried)
        raise ConformanceError("\n".join(lines))

    @property
    def untried(self) -> str:
        """One line on what would have had to be tried; "" where nothing is missing."""
        if not self.below_floor:
            return ""
        reasons: dict[str, list[str]] = {}
        for result in self.results:
            if result.id in self._untried:
                reason = result.message.partition(f": {result.status}: ")[2].rstrip("]")
                reasons.setdefault(reason, []).append(result.id)
        told = "; ".join(f"{', '.join(ids)} ({reason})" for reason, ids in reasons.items())
        return f"{self.component}: at least {self.floor} clauses have to be tried; not tried: {told or 'all'}"
