"""Attempt: one clause on one component, guarded: what it does comes out as an outcome and is put back."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from expcore.clock import RealClock
from expcore.conformance.clause import InvalidSample, NotApplicable, Runaway, Violation
from expcore.conformance.process import kept_signals
from expcore.conformance.report import FAILED, PASSED, SKIPPED
from expcore.errors import one_line
from expcore.host import set_default_host

LIMIT_SECS = 120.0
"""So long may a clause take; a component that hangs would otherwise be told by nobody."""


@dataclass(frozen=True)
class Outcome:
    """What an attempt came to.

    Attributes:
        status: "passed", "failed" or "skipped".
        reason: what was seen, or why it was skipped.
        expected: what should have been; "": what the clause's title says.
        raised: whether the component raised, instead of being seen to do something else.
        seconds: how long it took.
    """

    status: str
    reason: str = ""
    expected: str = ""
    raised: bool = False
    seconds: float = 0.0


def attempt(test: Callable[[Path], Any], limit_secs: float = LIMIT_SECS) -> Outcome:
    """Calls a test with an empty folder that is gone afterwards.

    Args:
        test: raises Violation, NotApplicable, or whatever a component raises; also SystemExit is an outcome.
        limit_secs: seconds after which it is ended, in the main thread.

    Raises:
        KeyboardInterrupt: the user wants to end.
        InvalidSample: what it was to be tried with is wrong.
    """
    clock = RealClock()
    start = clock.monotonic()

    def outcome(status: str, reason: str = "", expected: str = "", raised: bool = False) -> Outcome:
        return Outcome(status, reason, expected, raised, clock.monotonic() - start)

    try:
        with tempfile.TemporaryDirectory(prefix="expcore-") as folder, kept(), _limited(limit_secs):
            test(Path(folder))
    except Violation as found:
        return outcome(FAILED, found.seen, found.expected)
    except NotApplicable as reason:
        return outcome(SKIPPED, str(reason))
    except (KeyboardInterrupt, InvalidSample):
        raise
    except Runaway as error:
        return outcome(FAILED, str(error))
    except BaseException as error:
        return outcome(FAILED, f"{one_line(error)}{_where(error)}", raised=True)
    return outcome(PASSED)


@contextmanager
def kept() -> Iterator[None]:
    """What is changed of the process is put back: directory, environment, signals, default plugin host."""
    cwd, environ, host = os.getcwd(), dict(os.environ), set_default_host(None)
    try:
        with kept_signals([]):
            yield
    finally:
        os.chdir(cwd)
        if dict(os.environ) != environ:
            os.environ.clear()
            os.environ.update(environ)
        set_default_host(host)


@contextmanager
def _limited(secs: float) -> Iterator[None]:
    """Ends what takes longer by a Runaway; where there are no such signals, or not in this thread, never."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def end(_number: int, _frame: FrameType | None) -> NoReturn:
        raise Runaway(f"it did not come to an end within {secs:g} seconds")

    clock = RealClock()
    start = clock.monotonic()
    handler, (left, every) = signal.signal(signal.SIGALRM, end), signal.setitimer(signal.ITIMER_REAL, secs)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if left:  # somebody else's limit, such as that of a test, goes on
            signal.setitimer(signal.ITIMER_REAL, max(0.01, left - (clock.monotonic() - start)), every)


def _where(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    return f" (at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})"
