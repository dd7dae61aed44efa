"""The policy "final": only the last export, once a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass, field

from expcore.types import Checkpoint, Export
from expcore_plugins.exporters.final import Final


class Nothing:
    def write(self, estimator, directory):
        raise AssertionError("these tests only ask whether to export")


@dataclass
class Log:
    checkpoint: Checkpoint | None
    exports: list[Export] = field(default_factory=list)

    def exported(self, exporter, checkpoint=None):
        return any(e.exporter == exporter and checkpoint in (None, e.checkpoint) for e in self.exports)


def test_only_the_final_export_is_wanted():
    here = Log(Checkpoint("log:1", "ckpt-5", 5))
    assert not Final(Nothing()).wants({"loss": 1.0}, here, False)
    assert Final(Nothing()).wants({"loss": 1.0}, here, True)


def test_a_checkpoint_that_is_final_once_more_is_not_exported_again_but_a_later_one_is():
    done = [Export("final", "log:1", 5, "p", True)]
    assert not Final(Nothing()).wants(None, Log(Checkpoint("log:1", "ckpt-5", 5), done), True)
    assert Final(Nothing()).wants(None, Log(Checkpoint("log:2", "ckpt-9", 9), done), True)


def test_without_a_log_the_caller_says_whether_it_is_final():
    assert Final(Nothing()).wants(None, None, True)
    assert not Final(Nothing()).wants(None, None, False)


def test_its_name_is_final_and_it_keeps_five():
    assert Final(Nothing()).name == "final"
    assert Final(Nothing()).keep == 5
