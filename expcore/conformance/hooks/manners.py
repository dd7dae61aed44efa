"""The promises of a hook about its surroundings: other hooks, the process, the file system, failures."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Any
from unittest.mock import patch

from expcore.conformance.hooks.case import STEPS, At, HookCase, fail, open_files
from expcore.conformance.hooks.clauses import WHOLE, clauses
from expcore.conformance.traces import traced
from expcore.errors import one_line


@clauses.must(18, after=WHOLE, hint="copy the metrics before changing them: dict(run.metrics)")
def leaves_the_metrics_as_they_are(case: HookCase) -> None:
    """It does not change the metrics, which all hooks of a stop are given."""
    before: list[dict[str, Any]] = []

    def compare(run: Any) -> None:
        # As text, since NaN is unlike itself.
        case.require(repr(dict(run.metrics)) == repr(before[-1]), f"{before[-1]} became {dict(run.metrics)}")

    case.train(At(None, lambda run: before.append(dict(run.metrics))), case.watch(), At(None, compare))


@clauses.must(19, after=WHOLE, hint="keep it on the object (self), not on the class or the module")
def two_do_as_one_does(case: HookCase) -> None:
    """Two of them in one training do not disturb each other."""
    alone, one, other = case.watch(), case.watch(), case.watch()
    wanted = case.train(alone, folder="alone")
    found = case.train(one, other, folder="both", doing="a training with two of them")
    case.require(
        (found.step, found.saves) == (wanted.step, wanted.saves),
        f"with two, training ended at step {found.step} with checkpoints at {found.saves}",
        f"as with one: at step {wanted.step} with checkpoints at {wanted.saves}",
    )
    for name, hook in (("first", one), ("second", other)):
        steps = hook.seen.steps
        case.require(
            steps == alone.seen.steps, f"of two, the {name} was called at {steps}", f"{alone.seen.steps}"
        )


@clauses.must(
    20, after=WHOLE, forms=("told",), hint="failed() may come without begin(): set defaults in the class"
)
def takes_the_news_of_a_failure(case: HookCase) -> None:
    """Told that training failed, it raises nothing itself, even if it has not begun.

    All hooks are told, also where the ``begin`` of one before it failed.
    """
    for step, when in ((0, "before it had begun"), (STEPS // 2, "in the middle of the training")):
        hook = case.watch()
        case.attempt(At(step, fail), hook, folder=f"failed{step}")
        for method, error in hook.seen.errors:
            case.require(
                method != "failed", f"told of a failure {when}, failed() raised {one_line(error)}", "no error"
            )


@clauses.should(21, after=WHOLE, hint="close in end and in failed, and join what was started")
def leaves_nothing_open(case: HookCase) -> None:
    """After the end of a training, and after its failure, it has no file open and no thread running."""
    if not os.path.isdir("/proc/self/fd"):
        case.skip("open files can be counted on Linux only")
    case.train(case.watch(), folder="first")  # what a process opens only once is open now
    for others, name in (((), "end"), ((At(STEPS // 2, fail),), "failure")):
        case.train(*others, folder=f"without_{name}")
        own = open_files(case.folder / f"without_{name}")  # of an estimator that keeps some open
        threads = set(threading.enumerate())
        hook = case.watch()
        case.train(hook, *others, folder=name)
        files = open_files(case.folder / name)
        more = f"after the {name} these are open: {', '.join(files)}"
        case.require(len(files) <= len(own), more, f"as without it: {', '.join(own) or 'none'}")
        names = [thread.name for thread in set(threading.enumerate()) - threads]
        case.require(not names, f"after the {name} these threads run: {', '.join(names)}", "none")


@clauses.must(22, after=WHOLE, hint="change nothing that belongs to the process; signals are the run's")
def leaves_the_process_as_it_is(case: HookCase) -> None:
    """It leaves working directory, environment, signal handlers and the global random generators as they are.

    Input functions draw from these generators, those of Python and NumPy.
    """
    with traced(case.folder) as without:
        case.train(folder="without")
    case.signals.clear()
    with traced(case.folder) as traces:
        case.train(case.watch())
    # An estimator of the sample's may draw numbers itself; what is seen without the hook is not the hook's.
    found = [told for told in traces.process if told not in without.process]
    found += [f"handlers of signals were changed: {case.signals}"] if case.signals else []
    case.require(not found, "; ".join(found), "everything as before")


@clauses.should(23, after=WHOLE, hint="write below run.model_dir, or where a parameter says")
def writes_into_the_model_directory(case: HookCase) -> None:
    """Where it is not told otherwise, it writes below ``run.model_dir`` and nowhere else.

    The working directory, the home directory and the one for temporary files are looked at.
    """
    with traced(case.folder) as traces:
        case.train(case.watch())
    outside = [path for path in traces.files if path.partition(os.sep)[0] != "model"]
    case.require(not outside, f"files written: {', '.join(outside)}", "files below the model directory")


@clauses.should(
    24, after=WHOLE, hint="run.clock.sleep(secs); tests then take no time, and signals are served"
)
def waits_by_the_clock_of_the_run(case: HookCase) -> None:
    """It waits by ``run.clock``, never by ``time.sleep``."""
    slept: list[str] = []
    real, own = time.sleep, threading.get_ident()

    def sleep(secs: float) -> None:
        if threading.get_ident() == own:
            code = sys._getframe(1).f_code
            slept.append(f"time.sleep({secs}) in {code.co_qualname}")
        else:
            real(secs)

    with patch("time.sleep", sleep):
        case.train(case.watch())
    # An estimator of the sample's has a clock of its own, which may be the real one.
    slept = [told for told in slept if "RealClock" not in told]
    case.require(not slept, f"{len(slept)} waits, the first: {slept[0] if slept else ''}", "run.clock.sleep")


@clauses.must(25, after=WHOLE, hint='run.request_stop("what happened, with the numbers")')
def says_why_it_asks_for_the_end(case: HookCase) -> None:
    """Where it asks for the end of training, it says why: the reason is recorded."""
    for trained_with in ((), (At(None, lambda _run: None),)):
        for step, reason in case.tried(*trained_with).stops:
            good = isinstance(reason, str) and reason.strip()
            case.require(good, f"at step {step} it asked for the end with {reason!r}", "a reason in words")
