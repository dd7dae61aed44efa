"""Suite: tries a component on the clauses of its kind, each once, what they depend on first."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from expcore.calling import call_naming
from expcore.conformance.attempt import Outcome, attempt
from expcore.conformance.case import Sample
from expcore.conformance.clause import MUST, Clause
from expcore.conformance.kind import Kind
from expcore.conformance.report import BLOCKED, FAILED, PASSED, SKIPPED, XFAIL, Report, Result
from expcore.errors import InvalidArgument, InvalidType, listing, nearest


class Suite:
    """The clauses of a kind for one component.

    Args:
        kind: its kind.
        sample: makes the component.
        label: names it in messages.

    Attributes:
        clauses: those that are for such a component, in the order of their ids.
        missing: what it needs and is not here; where there is something, nothing can be tried.

    Raises:
        InvalidArgument: an expected failure or a capability does not exist, or has no reason.
        InvalidType: the expected failures are no mapping, or the capabilities no set of strings.
    """

    def __init__(self, kind: Kind, sample: Sample, label: str) -> None:
        self.kind, self.sample, self.label = kind, sample, label
        self._results: dict[str, Result] = {}
        self._fault: Outcome | None = None
        self._capabilities: frozenset[str] = frozenset()
        self._forms: frozenset[str] = call_naming(kind.forms, None, case=None)
        self._requires: tuple[str, ...] = ()
        self._look()
        self.missing = tuple(need for need in (*sample.needs, *self._requires) if not available(need))
        self.clauses = [c for c in kind.clauses if not c.forms or set(c.forms) & self._forms]
        self._check_expected()

    def _look(self) -> None:
        """Asks one component what it declares and is; one that cannot be made fails the first clause."""
        declared: list[Any] = []

        def look(folder: Path) -> None:
            case = self.kind.case(self.sample, folder)
            try:
                component = case.make()
            except KeyboardInterrupt:
                raise
            except BaseException:  # the first clause of each kind tells it
                return
            requires = getattr(component, "requires", None)  # what hooks of this name say
            self._requires = (requires,) if isinstance(requires, str) else ()
            declared.append(getattr(component, "capabilities", None))
            if all(available(need) for need in (*self.sample.needs, *self._requires)):
                self._forms = call_naming(self.kind.forms, component, case=case)

        outcome = attempt(look)
        if outcome.status == FAILED:
            self._fault = replace(outcome, expected="an object whose attributes can be looked at")
        given = self.sample.capabilities
        self._capabilities = self._checked(declared[0] if given is None and declared else given)

    def _checked(self, found: Any) -> frozenset[str]:
        declared = _words(found, self.label)
        for word in sorted(declared - set(self.kind.capabilities)):
            raise InvalidArgument(
                f"{self.label}: capability {word!r} is not among "
                f"{listing(list(self.kind.capabilities))}{nearest(word, self.kind.capabilities)}"
            )
        return declared

    def _check_expected(self) -> None:
        known, expected = [clause.id for clause in self.clauses], self.sample.expected_failures
        if not isinstance(expected, Mapping):
            raise InvalidType(
                f"{self.label}: expected_failures is {expected!r}; it must map clause ids to reasons"
            )
        for own, reason in expected.items():
            if own not in known:
                raise InvalidArgument(
                    f"{self.label}: expected failure {own!r} is no clause of such a {self.kind.name}"
                    f"{nearest(str(own), known)}; correct or remove it"
                )
            if not isinstance(reason, str) or not reason.strip():
                raise InvalidArgument(f"{self.label}: expected failure {own!r} has no reason; give one")

    def report(self, only: Iterable[str] | None = None) -> Report:
        """Tries the clauses and returns what came out.

        Args:
            only: ids of those to tell; None: all.

        Raises:
            InvalidArgument: there is no such clause for the component.
        """
        wanted = self.chosen(only)
        results = [self.result(own) for own in wanted]
        return Report(self.label, self.kind.name, results, whole=only is None, missing=self.missing)

    def chosen(self, only: Iterable[str] | None) -> list[str]:
        """Returns the ids to tell; all where ``only`` is None.

        Raises:
            InvalidArgument: there is no such clause for the component.
            InvalidType: ``only`` is no list of ids.
        """
        known = [c.id for c in self.clauses]
        if only is None:
            return known
        if not isinstance(only, Iterable):
            raise InvalidType(f"only is {only!r}; it must be a list of clause ids, or None")
        only = [only] if isinstance(only, str) else list(only)
        for own in only:
            self.kind.clause(own)
        return [own for own in known if own in only]

    def result(self, own: str) -> Result:
        """Returns what comes out of a clause; what it depends on is tried first, and everything once."""
        if own not in self._results:
            self._results[own] = self._try(self.kind.clause(own))
        return self._results[own]

    def _try(self, clause: Clause) -> Result:
        missing = [*self.missing, *(need for need in clause.needs if not available(need))]
        if missing:
            return self._told(clause, SKIPPED, f"it needs {' and '.join(missing)}, which is not here")
        applicable = {c.id for c in self.clauses}
        for before in (self.result(own) for own in clause.after if own in applicable):
            if before.status == SKIPPED:
                return self._told(clause, SKIPPED, f"{before.id} was skipped, without which it says nothing")
            if before.status != PASSED:
                reason = f"{before.id} did not pass, without which it says nothing"
                blocked = self._told(clause, BLOCKED, reason)
                excused = before.status == XFAIL or (before.status == BLOCKED and not before.counts)
                return replace(blocked, counts=False) if excused else blocked
        outcome = self._fault or attempt(lambda folder: clause.test(self.kind.case(self.sample, folder)))
        if clause.capability is not None and clause.capability not in self._capabilities:
            word = clause.capability
            if outcome.status == PASSED:
                note = f"capability {word!r} works though it is not declared; declare it"
                return self._told(clause, SKIPPED, note, outcome.seconds, note)
            return self._told(clause, SKIPPED, f"capability {word!r} is not declared", outcome.seconds)
        return self._judged(clause, outcome)

    def _judged(self, clause: Clause, outcome: Outcome) -> Result:
        excuse = self.sample.expected_failures.get(clause.id)
        if outcome.status == FAILED and excuse is not None:
            return self._told(clause, XFAIL, f"expected to fail: {excuse}", outcome.seconds)
        if outcome.status == PASSED and excuse is not None:
            seen = f"it passes, though it was expected to fail ({excuse})"
            expected = "the expected failure taken off the list"
            return self._failed(clause, replace(outcome, reason=seen, expected=expected))
        if outcome.status == FAILED:
            return self._failed(clause, outcome)
        return self._told(clause, outcome.status, outcome.reason, outcome.seconds)

    def _told(
        self, clause: Clause, status: str, reason: str = "", secs: float = 0.0, note: str = ""
    ) -> Result:
        message = f"{clause.id} {clause.level}: {clause.title}"
        if reason:
            message += f" [{self.label}: {status}: {reason}]"
        here = not self.missing and all(map(available, clause.needs))
        counts = clause.level == MUST and clause.capability is None and here
        return Result(clause.id, status, clause.level, message, clause.title, clause.link, secs, counts, note)

    def _failed(self, clause: Clause, outcome: Outcome) -> Result:
        result = self._told(clause, FAILED, "", outcome.seconds)
        hint = f"first what raises, or bring what it needs as a sample; {clause.hint}"
        message = (
            f"{clause.id} {clause.level}: {clause.title}\n"
            f"  component: {self.label}\n"
            f"  seen:      {outcome.reason}\n"
            f"  expected:  {outcome.expected or clause.title}\n"
            f"  mend:      {hint if outcome.raised else clause.hint}\n"
            f"  see:       {clause.link}"
        )
        return replace(result, message=message)


def available(need: str) -> bool:
    """Whether a library that a clause or a component needs is here."""
    return find_spec(need) is not None


def _words(found: Any, label: str) -> frozenset[str]:
    if found is None or callable(found):
        return frozenset()
    if isinstance(found, str) or not isinstance(found, Collection):
        raise InvalidType(f"{label}: capabilities is {found!r}; it must be a set of strings")
    return frozenset(map(str, found))
