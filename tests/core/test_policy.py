"""The exporter around a policy, the form of 2017, and what an experiment takes for an exporter."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from expcore.errors import InvalidArgument, InvalidType
from expcore.publish import ExportStrategy, Policy, as_exporter, versions
from expcore.testing.clock import VirtualClock
from expcore.types import Checkpoint, Export, Exporter


def write(directory):
    Path(directory, "model").write_text("whole")
    Path(directory, "assets").mkdir()
    Path(directory, "assets", "vocabulary").write_text("words")


def visible(base):
    return sorted(os.listdir(base)) if os.path.isdir(base) else []


def filled(base, *names):
    for name in names:
        Path(base, str(name)).mkdir(parents=True)
        Path(base, str(name), "model").write_text(str(name))


class Text:
    """A format that notes what it was given."""

    def __init__(self):
        self.given = []

    def write(self, estimator, directory, checkpoint_path=None, eval_result=None):
        self.given.append((estimator, checkpoint_path, eval_result))
        write(directory)


class Always(Policy):
    default_name = "always"

    def wants(self, eval_result, history, final):
        return True


class WhenGood(Policy):
    default_name = "good"

    def wants(self, eval_result, history, final):
        return final or eval_result["loss"] < 1


@dataclass
class Log:
    """As much of a history as an exporter asks for."""

    checkpoint: Checkpoint | None = None
    exports: list[Export] = field(default_factory=list)

    def exported(self, exporter, checkpoint=None):
        return any(e.exporter == exporter and checkpoint in (None, e.checkpoint) for e in self.exports)


def test_a_policy_publishes_what_it_wants_and_declines_with_none(tmp_path):
    policy, clock = WhenGood(Text()), VirtualClock(50)
    base = str(tmp_path / "good")
    assert policy.export("estimator", base, "ckpt-1", {"loss": 2.0}, clock=clock) is None
    assert visible(base) == []
    assert policy.export("estimator", base, "ckpt-2", {"loss": 0.5}, clock=clock) == f"{base}/50"
    assert policy.export("estimator", base, "ckpt-3", {"loss": 2.0}, True, clock=clock) == f"{base}/51"
    assert policy.format.given == [
        ("estimator", "ckpt-2", {"loss": 0.5}),
        ("estimator", "ckpt-3", {"loss": 2.0}),
    ]


def test_a_policy_without_a_clock_takes_the_real_time(tmp_path):
    path = Always(Text()).export(None, str(tmp_path))
    assert int(os.path.basename(path)) > 1_600_000_000


def test_a_format_is_given_only_what_it_names(tmp_path):
    class Small:
        def write(self, estimator, directory):
            write(directory)

    assert Always(Small()).export(None, str(tmp_path), "ckpt-1", {}, clock=VirtualClock(4))


def test_a_policy_is_an_exporter_with_its_default_name_or_the_given_one():
    assert isinstance(Always(Text()), Exporter)
    assert Always(Text()).name == "always"
    assert Always(Text(), name="other").name == "other"
    assert Always(Text()).keep == 5


@pytest.mark.parametrize("arguments", [{"name": "a/b"}, {"name": ""}, {"keep": 0}])
def test_a_policy_refuses_a_bad_name_or_keep_at_once(arguments):
    with pytest.raises(InvalidArgument):
        Always(Text(), **arguments)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (3, "format 3 has no method write"),
        (None, "format None has no method write"),
        (Text, "is a class"),
        (Always(Text()), "is an exporter or policy"),
        (ExportStrategy("a", print), "is an exporter or policy"),
    ],
)
def test_something_else_in_the_place_of_a_format_is_named(value, told):
    with pytest.raises(InvalidType, match=f"exporter 'always'.*{told}"):
        Always(value)


def test_already_exported_asks_the_log_for_this_checkpoint_and_name():
    here = Checkpoint("log:3", "ckpt-5", 5)
    policy = Always(Text())
    assert not policy.already_exported(None)
    assert not policy.already_exported(Log(None, [Export("always", "log:3", 5, "p")]))
    assert not policy.already_exported(Log(here, [Export("always", "log:2", 4, "p")]))
    assert not policy.already_exported(Log(here, [Export("other", "log:3", 5, "p")]))
    assert policy.already_exported(Log(here, [Export("always", "log:3", 5, "p")]))


def test_a_policy_deletes_only_versions_that_the_log_says_it_published_there(tmp_path):
    base = tmp_path / "moved" / "always"
    filled(base, 1, 2, 3, 4, 5, 6)
    log = Log(
        exports=[
            Export("always", "a", 1, "/before/the/move/always/1"),
            Export("always", "b", 2, "/before/the/move/always/2/"),
            Export("other", "b", 2, "/before/the/move/always/3"),
            Export("always", "b", 2, "/before/the/move/another/4"),
            Export("always", "b", 2, "/before/the/move/always/latest"),
            Export("always", "b", 2, None),
        ]
    )
    Always(Text(), keep=1).export(None, str(base) + "/", history=log, clock=VirtualClock(9))
    assert visible(base) == ["3", "4", "5", "6", "9"]


def test_without_a_log_no_old_version_is_deleted(tmp_path):
    for now in range(1, 9):
        Always(Text(), keep=1).export(None, str(tmp_path), clock=VirtualClock(now))
    assert versions(str(tmp_path)) == list(range(1, 9))


# -- the form of 2017 ------------------------------------------------------------------------------


def test_an_export_strategy_calls_its_function_with_what_it_names_and_returns_what_it_returns():
    def plain(estimator, export_path):
        return ("plain", estimator, export_path)

    def full(estimator, export_path, checkpoint_path, eval_result, strip_default_attrs, **rest):
        return (checkpoint_path, eval_result, strip_default_attrs, rest)

    def modern(estimator, export_path, history=None, is_the_final_export=False):
        return (history, is_the_final_export)

    given = {"checkpoint_path": "ckpt-1", "eval_result": {"loss": 1.0}}
    assert ExportStrategy("a", plain).export("e", "p", **given) == ("plain", "e", "p")
    assert ExportStrategy("a", full).export("e", "p", **given) == ("ckpt-1", {"loss": 1.0}, None, {})
    assert ExportStrategy("a", full, strip_default_attrs=True).export("e", "p", **given)[2] is True
    log = Log()
    assert ExportStrategy("a", modern).export("e", "p", history=log, is_the_final_export=True) == (log, True)
    assert isinstance(ExportStrategy("a", plain), Exporter)


def test_a_result_without_its_checkpoint_is_refused_only_in_a_direct_call_of_a_function_that_asks_for_it():
    def asks(estimator, export_path, eval_result):
        return eval_result

    strategy = ExportStrategy("a", asks)
    with pytest.raises(ValueError, match="checkpoint_path="):
        strategy.export("e", "p", eval_result={"loss": 1.0})
    assert strategy.export("e", "p", eval_result={"loss": 1.0}, checkpoint_path="c") == {"loss": 1.0}
    assert strategy.export("e", "p", eval_result={"loss": 1.0}, history=Log()) == {"loss": 1.0}
    assert strategy.export("e", "p") is None
    assert (
        ExportStrategy("b", lambda estimator, path: path).export("e", "p", eval_result={"loss": 1.0}) == "p"
    )


def test_an_export_strategy_checks_its_name_and_function_at_once():
    with pytest.raises(InvalidArgument, match="export strategy"):
        ExportStrategy("a b", print)
    with pytest.raises(InvalidType, match="export_fn is 3"):
        ExportStrategy("a", 3)


# -- what an experiment accepts --------------------------------------------------------------------


def test_as_exporter_takes_exporters_as_they_are_and_wraps_formats():
    class Foreign:
        name = "best_exporter"

        def export(self, estimator, export_path, checkpoint_path, eval_result, is_the_final_export):
            return b"/x"

    for exporter in (Foreign(), Always(Text()), ExportStrategy("a", print)):
        assert as_exporter(exporter) is exporter
    form = Text()
    wrapped = as_exporter(form, Always)
    assert isinstance(wrapped, Always)
    assert wrapped.format is form


def test_as_exporter_says_what_is_missing_as_a_value_error():
    class Nameless:
        def export(self):
            return None

    class BadName(Nameless):
        name = "../up"

    for value, told in [
        (3, "lacks a name and export"),
        (Nameless(), "lacks a name;"),
        (Always, "an object instead of a class"),
        (Text, "an object instead of a class"),
        (Text(), "lacks a name and export"),
        (BadName(), r"'\.\./up'"),
    ]:
        with pytest.raises(ValueError, match=told) as caught:
            as_exporter(value)
        assert isinstance(caught.value, InvalidArgument)
