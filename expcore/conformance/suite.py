"""Suite: tries a component on the clauses of its kind, each once, what they depend on first."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from expcore.calling import call_naming
from expcore.clock import RealClock
from expcore.conformance.case import Sample
from expcore.conformance.clause import MUST, Clause, NotApplicable, Runaway, Violation
from expcore.conformance.kind import Kind
from expcore.conformance.network import alone
from expcore.conformance.report import BLOCKED, FAILED, PASSED, SKIPPED, XFAIL, Report, Result
from expcore.errors import InvalidArgument, InvalidType, listing, nearest, one_line
from expcore.host import set_default_host


@dataclass(frozen=True)
class _Outcome:
    """What a test came to: seen and expected are None unless it failed."""

    status: str
    reason: str = ""
    expected: str = ""
    seconds: float = 0.0


class Suite:
    """The clauses of a kind for one component.

    Args:
        kind: its kind.
        sample: makes the component.
        label: names it in messages.

    Raises:
        InvalidArgument: an expected failure or a capability does not exist, or has no reason.
    """

    def __init__(self, kind: Kind, sample: Sample, label: str) -> None:
        self.kind, self.sample, self.label = kind, sample, label
        self._results: dict[str, Result] = {}
        self._capabilities, self._forms = self._declared()
        self.clauses = [c for c in kind.clauses if not c.forms or set(c.forms) & self._forms]
        self._check_expected()

    def _declared(self) -> tuple[frozenset[str], frozenset[str]]:
        """Asks one component what it declares and is; one that cannot be made fails the first clause."""
        try:
            with tempfile.TemporaryDirectory(prefix="expcore-") as folder, _kept():
                case = self.kind.case(self.sample, Path(folder))
                component = case.make()
                forms = call_naming(self.kind.forms, component, case=case)
        except Exception:
            return frozenset(), call_naming(self.kind.forms, None, case=None)
        found = self.sample.capabilities
        if found is None:
            found = getattr(component, "capabilities", None)
        declared = _words(found, self.label)
        for word in sorted(declared - set(self.kind.capabilities)):
            raise InvalidArgument(
                f"{self.label}: capability {word!r} is not among "
                f"{listing(list(self.kind.capabilities))}{nearest(word, self.kind.capabilities)}"
            )
        return declared, forms

    def _check_expected(self) -> None:
        known = [clause.id for clause in self.clauses]
        for own, reason in self.sample.expected_failures.items():
            if own not in known:
                raise InvalidArgument(
                    f"{self.label}: expected failure {own!r} is no clause of such a {self.kind.name}"
                    f"{nearest(own, known)}; correct or remove it"
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
        wanted = [c.id for c in self.clauses]
        if only is not None:
            only = [only] if isinstance(only, str) else list(only)
            for own in only:
                self.kind.clause(own)
            wanted = [own for own in wanted if own in only]
        results = [self.result(own) for own in wanted]
        return Report(self.label, self.kind.name, results, whole=only is None)

    def result(self, own: str) -> Result:
        """Returns what comes out of a clause; what it depends on is tried first, and everything once."""
        if own not in self._results:
            self._results[own] = self._try(self.kind.clause(own))
        return self._results[own]

    def _try(self, clause: Clause) -> Result:
        missing = [need for need in (*self.sample.needs, *clause.needs) if not available(need)]
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
        outcome = self._run(clause)
        if clause.capability is not None and clause.capability not in self._capabilities:
            word = clause.capability
            if outcome.status == PASSED:
                note = f"capability {word!r} works though it is not declared; declare it"
                return self._told(clause, SKIPPED, note, outcome.seconds, note)
            return self._told(clause, SKIPPED, f"capability {word!r} is not declared", outcome.seconds)
        return self._judged(clause, outcome)

    def _judged(self, clause: Clause, outcome: _Outcome) -> Result:
        excuse = self.sample.expected_failures.get(clause.id)
        if outcome.status == FAILED and excuse is not None:
            return self._told(clause, XFAIL, f"expected to fail: {excuse}", outcome.seconds)
        if outcome.status == PASSED and excuse is not None:
            seen = f"it passes, though it was expected to fail ({excuse})"
            failed = _Outcome(FAILED, seen, "the expected failure taken off the list", outcome.seconds)
            return self._failed(clause, failed)
        if outcome.status == FAILED:
            return self._failed(clause, outcome)
        return self._told(clause, outcome.status, outcome.reason, outcome.seconds)

    def _told(
        self, clause: Clause, status: str, reason: str = "", secs: float = 0.0, note: str = ""
    ) -> Result:
        message = f"{clause.id} {clause.level}: {clause.title}"
        if reason:
            message += f" [{self.label}: {status}: {reason}]"
        counts = clause.level == MUST and clause.capability is None and all(map(available, clause.needs))
        return Result(clause.id, status, clause.level, message, clause.title, clause.link, secs, counts, note)

    def _failed(self, clause: Clause, outcome: _Outcome) -> Result:
        result = self._told(clause, FAILED, "", outcome.seconds)
        message = (
            f"{clause.id} {clause.level}: {clause.title}\n"
            f"  component: {self.label}\n"
            f"  seen:      {outcome.reason}\n"
            f"  expected:  {outcome.expected or clause.title}\n"
            f"  mend:      {clause.hint}\n"
            f"  see:       {clause.link}"
        )
        return replace(result, message=message)

    def _run(self, clause: Clause) -> _Outcome:
        clock = RealClock()
        start = clock.monotonic()

        def outcome(status: str, reason: str = "", expected: str = "") -> _Outcome:
            return _Outcome(status, reason, expected, clock.monotonic() - start)

        try:
            with tempfile.TemporaryDirectory(prefix="expcore-") as folder, _kept():
                clause.test(self.kind.case(self.sample, Path(folder)))
        except Violation as found:
            return outcome(FAILED, found.seen, found.expected)
        except NotApplicable as reason:
            return outcome(SKIPPED, str(reason))
        except KeyboardInterrupt:
            raise
        except Runaway as error:
            return outcome(FAILED, str(error))
        except BaseException as error:
            return outcome(FAILED, f"{one_line(error)}{_where(error)}")
        return outcome(PASSED)


def available(need: str) -> bool:
    """Whether something that a clause needs is here: a library, or a network namespace of its own."""
    if need == "namespace":
        return alone()
    return find_spec(need) is not None


def _words(found: Any, label: str) -> frozenset[str]:
    if found is None or callable(found):
        return frozenset()
    if isinstance(found, str) or not isinstance(found, Collection):
        raise InvalidType(f"{label}: capabilities is {found!r}; it must be a set of strings")
    return frozenset(map(str, found))


@contextmanager
def _kept() -> Iterator[None]:
    """What a clause changes of the process is put back: directory, environment, default plugin host."""
    cwd, environ, host = os.getcwd(), dict(os.environ), set_default_host(None)
    try:
        yield
    finally:
        os.chdir(cwd)
        if dict(os.environ) != environ:
            os.environ.clear()
            os.environ.update(environ)
        set_default_host(host)


def _where(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    return f" (at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})"
