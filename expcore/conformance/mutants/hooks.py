"""The proof of the clauses of hooks."""

from __future__ import annotations

from functools import partial
from typing import Any

from expcore.conformance.case import Sample
from expcore.conformance.mutants import hooks_right as right
from expcore.conformance.mutants import hooks_rude as rude
from expcore.conformance.mutants import hooks_wrong as wrong
from expcore.conformance.mutants.acts import ON_FILES, ON_THE_PROCESS
from expcore.conformance.mutants.mutant import Mutant, Proof


def _made(kind: Any) -> Sample:
    return Sample(factory=kind)


_ONE = right.Every50()

PROOF = Proof(
    references={
        "diary": _made(right.Diary),
        "timed": _made(right.Timed),
        "an object that is copied": Sample(right.Stateful()),
    },
    mutants=(
        Mutant("HOK-001", "is a class", _made(lambda: right.Every50)),
        Mutant("HOK-001", "has the methods of another framework", _made(wrong.Unsorted)),
        Mutant("HOK-001", "is the same object each time", _made(lambda: _ONE)),
        Mutant("HOK-002", "after_save without the path", _made(wrong.WithoutPath)),
        Mutant("HOK-002", "failed without the error", _made(wrong.WithoutError)),
        Mutant("HOK-003", "never asks to be called again", _made(wrong.OnlyOnce)),
        Mutant("HOK-003", "asks for the step that it is at", _made(wrong.AsksForNow)),
        Mutant("HOK-003", "gives its step as a text", _made(wrong.AnswersInWords)),
        Mutant("HOK-004", "gives its seconds as a text", _made(wrong.SecondsInWords)),
        Mutant("HOK-004", "has negative seconds", _made(wrong.NegativeSeconds)),
        Mutant("HOK-005", "has a set in its state", _made(wrong.StateOfObjects)),
        Mutant("HOK-005", "has a number as its state", _made(wrong.StateIsNumber)),
        Mutant("HOK-006", "imports TensorFlow and does not say so", _made(wrong.WantsTensorFlow)),
        Mutant("HOK-007", "needs a metric that is not there", _made(wrong.WantsAccuracy)),
        Mutant("HOK-008", "needs the beginning of the training", _made(wrong.WantsTheBeginning)),
        Mutant("HOK-009", "needs a step", _made(wrong.WantsALoss)),
        Mutant("HOK-010", "needs an end", _made(wrong.WantsAnEnd)),
        Mutant("HOK-011", "needs an experiment and does not say so", _made(wrong.WantsAnExperiment)),
        *(
            Mutant(
                "HOK-012", f"moves its point {n} steps on with each stop", _made(partial(wrong.MovesOn, n))
            )
            for n in (7, 60, 100, 150, 200, 300, 1000)
        ),
        Mutant("HOK-013", "is called once a run and no more", _made(wrong.OncePerRun)),
        *(
            Mutant("HOK-013", f"counts {n} from the run's start", _made(partial(wrong.CountsFromTheStart, n)))
            for n in (50, 100, 300, 1000)
        ),
        Mutant("HOK-014", "reads the metrics at each stop", _made(wrong.LooksToKnow)),
        *(
            Mutant("HOK-015", f"counts to {n} from run to run", _made(partial(wrong.KeepsItsCount, every, n)))
            for every, n in ((10, 24), (10, 30), (10, 40), (100, 4), (50, 3))
        ),
        *(
            Mutant("HOK-015", f"keeps a patience of {n}", _made(partial(wrong.KeepsItsPatience, 10, n)))
            for n in (5, 10, 30)
        ),
        Mutant("HOK-015", "works in its first run only", _made(wrong.WorksOnceOnly)),
        Mutant("HOK-016", "forgets a field of its state", _made(wrong.ForgetsAField)),
        Mutant("HOK-017", "decides by what is not in its state", _made(wrong.StateTooSmall)),
        Mutant("HOK-018", "takes the loss out of the metrics", _made(rude.TakesMetrics)),
        Mutant("HOK-018", "adds to the metrics", _made(rude.AddsToMetrics)),
        Mutant("HOK-019", "counts on the class", _made(rude.SharesItsCount)),
        Mutant("HOK-020", "fails when it is told of a failure", _made(rude.FailsAgain)),
        Mutant("HOK-020", "fails when it has not begun", _made(rude.FailsUnbegun)),
        Mutant("HOK-021", "leaves a file open after a failure", _made(rude.LeavesAFile)),
        Mutant("HOK-021", "leaves a thread running", _made(rude.LeavesAThread)),
        Mutant("HOK-022", "changes the working directory", _made(rude.ChangesDirectory)),
        Mutant("HOK-022", "sets a variable of the environment", _made(rude.SetsAVariable)),
        Mutant("HOK-022", "takes over a signal", _made(rude.TakesASignal)),
        *(
            Mutant("HOK-022", breaks, _made(partial(rude.Acts, act)))
            for breaks, act in ON_THE_PROCESS.items()
        ),
        *(Mutant("HOK-023", breaks, _made(partial(rude.Acts, act))) for breaks, act in ON_FILES.items()),
        Mutant("HOK-023", "writes into the working directory", _made(rude.WritesBeside)),
        Mutant("HOK-024", "waits by time.sleep", _made(rude.SleepsForReal)),
        Mutant("HOK-025", "ends training and does not say why", _made(rude.GivesNoReason)),
    ),
)
