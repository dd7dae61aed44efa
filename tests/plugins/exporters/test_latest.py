"""The policy "latest": every checkpoint once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from expcore.errors import InvalidType
from expcore.publish import versions
from expcore.testing.clock import VirtualClock
from expcore.types import Checkpoint, Export
from expcore_plugins.exporters.latest import Latest


class Text:
    def write(self, estimator, directory):
        Path(directory, "model").write_text("x")


@dataclass
class Log:
    checkpoint: Checkpoint | None
    exports: list[Export] = field(default_factory=list)

    def exported(self, exporter, checkpoint=None):
        return any(e.exporter == exporter and checkpoint in (None, e.checkpoint) for e in self.exports)


def test_every_checkpoint_is_wanted_until_it_is_exported_under_this_name():
    policy = Latest(Text())
    here = Checkpoint("log:1", "ckpt-5", 5)
    assert policy.wants({"loss": 1.0}, Log(here), False)
    assert policy.wants({"loss": 1.0}, Log(here, [Export("latest", "log:0", 4, "p")]), False)
    assert policy.wants({"loss": 1.0}, Log(here, [Export("other", "log:1", 5, "p")]), True)
    assert not policy.wants({"loss": 1.0}, Log(here, [Export("latest", "log:1", 5, "p")]), True)


def test_without_a_log_or_a_checkpoint_every_call_exports():
    assert Latest(Text()).wants(None, None, False)
    assert Latest(Text()).wants(None, Log(None, [Export("latest", "log:1", 5, "p")]), False)


def test_of_ten_exports_the_newest_five_stay(tmp_path):
    log, policy = Log(None), Latest(Text())
    for i in range(10):
        log.checkpoint = Checkpoint(f"log:{i}", f"ckpt-{i}", i)
        path = policy.export(None, str(tmp_path / "latest"), history=log, clock=VirtualClock(100 + i))
        log.exports.append(Export("latest", f"log:{i}", i, path))
    assert versions(str(tmp_path / "latest")) == [105, 106, 107, 108, 109]


def test_its_name_is_latest_and_a_policy_in_place_of_a_format_is_refused():
    assert Latest(Text()).name == "latest"
    with pytest.raises(InvalidType, match="policy"):
        Latest(Latest(Text()))
