"""The proof of the clauses of observers."""

from __future__ import annotations

from functools import partial
from typing import Any

from expcore.conformance.case import Sample
from expcore.conformance.mutants import observers_right
from expcore.conformance.mutants import observers_rude as rude
from expcore.conformance.mutants import observers_wrong as wrong
from expcore.conformance.mutants.acts import ON_FILES, ON_THE_PROCESS
from expcore.conformance.mutants.mutant import Mutant, Proof
from expcore.hookspecs import hookimpl


class Notebook:
    """A reference that is told of everything, and writes it down beside the checkpoints."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    @hookimpl
    def expcore_before_schedule(self, experiment: Any, schedule: str, options: Any) -> None:
        """Begins anew."""
        self.lines = [f"{schedule} with {dict(options)} in {experiment.model_dir}"]

    @hookimpl
    def expcore_before_train(self, experiment: Any) -> None:
        """Writes a line."""
        self.lines.append("training")

    @hookimpl
    def expcore_before_evaluate(self, checkpoint: Any) -> None:
        """Writes a line."""
        self.lines.append(f"evaluating {checkpoint.step if checkpoint else 'what there is'}")

    @hookimpl
    def expcore_before_export(self, exporter: Any, checkpoint: Any) -> None:
        """Writes a line."""
        self.lines.append(f"offering {checkpoint.id if checkpoint else 'it'} to {exporter.name}")

    @hookimpl
    def expcore_checkpoint_saved(self, checkpoint: Any) -> None:
        """Writes a line."""
        self.lines.append(f"saved {checkpoint.step}")

    @hookimpl
    def expcore_after_train(self, end: Any) -> None:
        """Writes a line."""
        self.lines.append(f"trained to {end.step}: {end.reason}{'' if end.over else ', to be continued'}")

    @hookimpl
    def expcore_after_evaluate(self, evaluation: Any) -> None:
        """Writes a line."""
        self.lines.append(f"step {evaluation.step}: {dict(evaluation.metrics)}")

    @hookimpl
    def expcore_after_export(self, export: Any) -> None:
        """Writes a line."""
        self.lines.append(f"{export.exporter} wrote {export.path}")

    @hookimpl
    def expcore_after_schedule(self, experiment: Any, schedule: str, result: Any) -> None:
        """Writes them to a file."""
        with open(f"{experiment.model_dir}/notebook.txt", "a") as file:
            file.write("\n".join([*self.lines, f"{schedule} is done", ""]))

    @hookimpl
    def expcore_failed(self, error: BaseException) -> None:
        """Writes a line."""
        self.lines.append(f"failed: {type(error).__name__} {error}")


def _made(kind: Any) -> Sample:
    return Sample(factory=lambda: kind)


PROOF = Proof(
    references={
        "a class": Sample(Notebook),
        "an object": Sample(Notebook()),
        "a module": Sample(observers_right),
    },
    mutants=(
        Mutant("OBS-001", "needs an argument", Sample(wrong.WantsAnArgument)),
        Mutant("OBS-001", "is a function", _made(observers_right.expcore_train_hooks)),
        Mutant("OBS-001", "is a text", _made("expcore_notebook:Notebook")),
        Mutant("OBS-002", "has a misspelt hook", Sample(wrong.Misspelt)),
        Mutant("OBS-002", "has a misspelt hook without a mark", Sample(wrong.MisspeltAndUnmarked)),
        Mutant("OBS-002", "has a hook without a mark", Sample(wrong.Unmarked)),
        Mutant("OBS-002", "has no hook at all", _made(object)),
        Mutant("OBS-002", "has an argument with a default", Sample(wrong.WithDefault)),
        Mutant("OBS-002", "has an argument that there is not", Sample(wrong.WithStrangeArgument)),
        Mutant("OBS-002", "is a wrapper", Sample(wrong.Wraps)),
        Mutant("OBS-003", "needs a metric that is not there", Sample(wrong.WantsAccuracy)),
        Mutant("OBS-003", "adds a hook that fails", Sample(wrong.AddsABrokenHook)),
        Mutant("OBS-004", "needs an error with a message", Sample(wrong.WantsAMessage)),
        Mutant("OBS-005", "never forgets a run that failed", Sample(wrong.NeverForgets)),
        Mutant("OBS-006", "knows one experiment", Sample(wrong.OneExperiment)),
        Mutant("OBS-007", "needs a training in its process", Sample(wrong.WantsTraining)),
        Mutant("OBS-007", "needs a schedule", Sample(wrong.WantsASchedule)),
        Mutant("OBS-008", "needs a checkpoint", Sample(wrong.WantsACheckpoint)),
        Mutant("OBS-008", "needs an estimator of our kind", Sample(wrong.WantsTheSupport)),
        Mutant("OBS-009", "takes a step once", Sample(wrong.OnceAStep)),
        Mutant("OBS-009", "takes an evaluation of a checkpoint once", Sample(wrong.OnceEvaluated)),
        Mutant("OBS-010", "gives another name each time", Sample(wrong.DrawsItsNames)),
        Mutant("OBS-010", "gives its components once", Sample(wrong.GivesOnce)),
        Mutant("OBS-011", "gives a name with a space", Sample(wrong.NamesWithSpaces)),
        Mutant("OBS-011", "gives an object instead of a factory", Sample(wrong.GivesObjects)),
        Mutant("OBS-012", "adds no list", Sample(wrong.AddsOneHook)),
        Mutant("OBS-012", "adds a class", Sample(wrong.AddsAClass)),
        Mutant("OBS-013", "adds the same hook again", Sample(wrong.AddsTheSame)),
        Mutant("OBS-014", "adapts hooks for every estimator", Sample(wrong.AdaptsForAll)),
        Mutant("OBS-015", "adapts only some hooks", Sample(wrong.AdaptsSome)),
        Mutant("OBS-015", "changes the order of hooks", Sample(wrong.AdaptsSorted)),
        Mutant("OBS-016", "takes a metric out of the result", Sample(rude.PopsMetrics)),
        Mutant("OBS-016", "changes the options", Sample(rude.AddsOptions)),
        Mutant("OBS-016", "leaves hooks in the experiment", Sample(rude.ExtendsTheExperiment)),
        Mutant("OBS-017", "changes the working directory", Sample(rude.ChangesDirectory)),
        Mutant("OBS-017", "sets a variable of the environment", Sample(rude.SetsAVariable)),
        *(
            Mutant("OBS-017", breaks, Sample(factory=partial(rude.Acts, act)))
            for breaks, act in ON_THE_PROCESS.items()
        ),
        *(
            Mutant("OBS-019", breaks, Sample(factory=partial(rude.Acts, act)))
            for breaks, act in ON_FILES.items()
        ),
        Mutant("OBS-018", "keeps a file in the log", Sample(rude.WritesIntoTheLog)),
        Mutant("OBS-018", "adds a line to the log", Sample(rude.AddsToTheLog)),
        Mutant("OBS-019", "writes into the working directory", Sample(rude.WritesBeside)),
        Mutant("OBS-020", "waits by the clock", Sample(rude.Waits)),
        Mutant("OBS-020", "waits by time.sleep", Sample(rude.Sleeps)),
        Mutant("OBS-021", "imports a heavy library", Sample(factory=rude.heavy)),
    ),
)
