"""The export pass: offers an evaluated checkpoint to every exporter and records what each did."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Any

from expcore import events as ev
from expcore.calling import call_naming, check_ran, describe, no_exit
from expcore.errors import one_line
from expcore.history import shorten
from expcore.parts import Parts
from expcore.passes.journal import Journal
from expcore.pins import pinned
from expcore.types import Checkpoint, Evaluation, Export, Metrics

_LOG = logging.getLogger(__name__)


class ExportPass:
    """Exports for an experiment.

    Args:
        experiment: whose estimator and exporters are used.
        journal: where exports and skips are recorded.
    """

    def __init__(self, experiment: Parts, journal: Journal) -> None:
        self._experiment, self._journal = experiment, journal

    def run(self, eval_result: Metrics | None, checkpoint_path: str | None, final: bool) -> list[str | None]:
        """Returns what each exporter has written of the checkpoint, None for one that declined or failed."""
        checkpoint = self._journal.identify(checkpoint_path or self._experiment.estimator.latest_checkpoint())
        return self._offer(self._experiment.export_strategies, eval_result, checkpoint, final)

    def run_missed(self) -> None:
        """Offers what a crash or a failure kept from the exporters (``Experiment.export_missed``)."""
        experiment = self._experiment
        if not experiment.export_strategies:
            return
        there = {
            checkpoint.id: checkpoint
            for checkpoint in map(self._journal.history.identify, experiment.checkpoint_paths())
        }
        until = experiment.train_steps
        found = [e for e in self._journal.history.evaluations if e.checkpoint in there]
        for n, evaluation in enumerate(found):
            if until is not None and evaluation.step >= until:
                continue  # the schedule exports it as the final one
            missed = [x for x in experiment.export_strategies if self._missed(x.name, found[n:])]
            self._offer(missed, evaluation.metrics, there[evaluation.checkpoint or ""], final=False)

    def _missed(self, name: str, evaluations: Sequence[Evaluation]) -> bool:
        """Whether an exporter failed for the first of these, or a crash came before it was offered the last.

        One that has exported a later one since is not asked again: its newest version would be an old model.
        """
        history, checkpoint = self._journal.history, evaluations[0].checkpoint
        reasons = {
            skip.reason
            for skip in history.skips
            if (skip.what, skip.subject, skip.checkpoint) == ("export", name, checkpoint)
        }
        if "not-wanted" in reasons or any(history.exported(name, e.checkpoint) for e in evaluations):
            return False
        return "failed" in reasons or len(evaluations) == 1

    def _offer(
        self,
        exporters: Sequence[Any],
        eval_result: Metrics | None,
        checkpoint: Checkpoint | None,
        final: bool,
    ) -> list[str | None]:
        if not exporters:
            return []
        with pinned(self._experiment.model_dir, checkpoint.path if checkpoint else None):
            return self._offer_pinned(exporters, eval_result, checkpoint, final)

    def _offer_pinned(
        self,
        exporters: Sequence[Any],
        eval_result: Metrics | None,
        checkpoint: Checkpoint | None,
        final: bool,
    ) -> list[str | None]:
        results: list[str | None] = []
        for exporter in exporters:
            try:
                results.append(self._export(exporter, eval_result, checkpoint, final))
            except Exception as error:
                error.add_note(f"exporter {exporter.name!r}")
                _LOG.error("exporter %r failed, the others go on: %s", exporter.name, one_line(error))
                self._journal.skip("export", exporter.name, checkpoint, "failed", one_line(error))
                self._journal.defer_export(error)
                results.append(None)
        return results

    def _export(
        self, exporter: Any, eval_result: Metrics | None, checkpoint: Checkpoint | None, final: bool
    ) -> str | None:
        experiment = self._experiment
        experiment.plugins.ask(
            "expcore_before_export", experiment=experiment, exporter=exporter, checkpoint=checkpoint
        )
        with no_exit(f"exporter {exporter.name!r}"):
            written = call_naming(
                exporter.export,
                experiment.estimator,
                os.path.join(experiment.model_dir, "export", exporter.name),
                checkpoint_path=checkpoint.path if checkpoint else None,
                eval_result=eval_result,
                is_the_final_export=final,
                history=self._journal.history.at(checkpoint),
                clock=experiment.clock,
            )
        check_ran(written, f"exporter {exporter.name!r}")
        if not written:
            detail = f"{describe(type(exporter))} declined"
            self._journal.skip("export", exporter.name, checkpoint, "not-wanted", detail)
            return self._published(exporter.name, checkpoint)
        return self._record(exporter.name, os.fsdecode(written), checkpoint, final)

    def _published(self, name: str, checkpoint: Checkpoint | None) -> str | None:
        """What an exporter that declined had written of this checkpoint before; None if nothing."""
        if checkpoint is None:
            return None
        exports = [e for e in self._journal.history.exports if e.exporter == name]
        return next((e.path for e in reversed(exports) if e.checkpoint == checkpoint.id), None)

    def _record(self, name: str, path: str, checkpoint: Checkpoint | None, final: bool) -> str:
        _LOG.info("exporter %r wrote %s", name, path)
        id_, step = (checkpoint.id, checkpoint.step) if checkpoint else (None, None)
        short, inside = shorten(path, self._experiment.model_dir)
        self._journal.log.append(
            ev.EXPORTED, exporter=name, checkpoint=id_, step=step, path=short, inside=inside, final=final
        )
        export = Export(name, id_, step, path, final)
        self._journal.defer_observers(
            self._experiment.plugins.notify(
                "expcore_after_export", experiment=self._experiment, export=export
            )
        )
        return path
