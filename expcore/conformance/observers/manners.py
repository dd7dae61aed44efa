"""The promises of an observer about its surroundings: what it is given, the process, the log, the time."""

from __future__ import annotations

import inspect
import json
import os
import sys
import threading
import time
from types import ModuleType
from unittest.mock import patch

from expcore.conformance.observers.case import ObserverCase
from expcore.conformance.observers.clauses import WHOLE, clauses
from expcore.conformance.traces import PLACES, traced
from expcore.events import LOG_DIR

HEAVY = (
    "tensorflow",
    "keras",
    "tf_keras",
    "torch",
    "jax",
    "flax",
    "sklearn",
    "pandas",
    "matplotlib",
    "mlflow",
)
"""What takes a second or more to import, of which nobody is to wait who only lists plugins."""


@clauses.must(16, after=WHOLE, hint="copy before changing; hooks for a run are returned from train_hooks")
def changes_nothing_that_it_is_given(case: ObserverCase) -> None:
    """It does not change what it is given: options, results, metrics, the lists of the experiment."""
    for hook, what, before, after in case.lived().changed:
        case.require(False, f"in {hook}() {what} became {after}", before)


@clauses.must(17, after=WHOLE, hint="change nothing that belongs to the process; signals are the run's")
def leaves_the_process_as_it_is(case: ObserverCase) -> None:
    """It leaves working directory, environment, signal handlers and the global random generators as they are.

    Input functions draw from these generators, those of Python and NumPy.
    """
    with traced(case.folder) as without:
        experiment = case.experiment(case.host(), "without")
        experiment.run("life")
    with traced(case.folder) as traces:
        case.lived()
    # An estimator of the sample's may draw numbers itself; what is seen without it is not the observer's.
    found = [told for told in traces.process if told not in without.process]
    case.require(not found, "; ".join(found), "everything as before")


@clauses.must(18, after=WHOLE, hint="write beside it, or elsewhere; read it by experiment.history")
def leaves_the_log_alone(case: ObserverCase) -> None:
    """It writes nothing into the directory of the log, and the log stays what it is: lines of JSON."""
    case.lived()
    own = ("events-", "status-", "run.json", "lock", "pins", "claims")
    for log in case.folder.rglob(LOG_DIR):
        strange = sorted(path.name for path in log.iterdir() if not path.name.startswith(own))
        case.require(not strange, f"files in {LOG_DIR}/ of the model directory: {', '.join(strange)}", "none")
        for path in log.glob("events-*.jsonl"):
            for line in path.read_text().splitlines():
                try:
                    good = "event" in json.loads(line)
                except ValueError:
                    good = False
                case.require(good, f"the line {line!r} in {path.name}", "lines that expcore has written")


@clauses.should(19, after=WHOLE, hint="write below experiment.model_dir, or where a setting says")
def writes_into_the_model_directory(case: ObserverCase) -> None:
    """Where it is not told otherwise, it writes below ``experiment.model_dir`` and nowhere else.

    The working directory, the home directory and the one for temporary files are looked at.
    """
    with traced(case.folder) as traces:
        case.lived()
    outside = [path for path in traces.files if path.partition(os.sep)[0] in PLACES]
    case.require(not outside, f"files written: {', '.join(outside)}", "none")


@clauses.should(20, after=WHOLE, forms=("saved",), hint="leave slow work to a thread, or to a later moment")
def is_quick_when_a_checkpoint_is_saved(case: ObserverCase) -> None:
    """It does not wait when it is told of a checkpoint: training waits meanwhile."""
    slept: list[float] = []
    real, own = time.sleep, threading.get_ident()

    def sleep(secs: float) -> None:
        caller = sys._getframe(1).f_code.co_qualname
        if threading.get_ident() == own and "RealClock" not in caller:
            slept.append(secs)
        else:
            real(secs)

    with patch("time.sleep", sleep):
        watched = case.lived()
    waited = sum(secs for hook, secs in watched.waited if hook == "expcore_checkpoint_saved")
    case.require(
        not slept, f"it called time.sleep {len(slept)} times, for {sum(slept):g} s in all", "no wait"
    )
    case.require(waited == 0, f"it waited {waited:g} s by the clock of the experiment", "no wait")


@clauses.should(
    21,
    after=(1,),
    page="writing-a-plugin.md#compatibility",
    hint="import it inside the function that uses it",
)
def imports_nothing_heavy(case: ObserverCase) -> None:
    """Its module imports no heavy library at its top: every run and many commands import it."""
    plugin = case.make()
    module = plugin if isinstance(plugin, ModuleType) else inspect.getmodule(type(plugin))
    found = set()
    for value in vars(module).values() if module else ():
        name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", "")
        found.add(str(name).partition(".")[0])
    heavy = sorted(found & set(HEAVY))
    case.require(not heavy, f"{', '.join(heavy)} in its module", "none of them")
