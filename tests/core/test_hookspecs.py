"""The pluggy contract: names and arguments, which are promises to plugins."""

from __future__ import annotations

import inspect
from pathlib import Path

import pluggy
import pytest

from expcore import hookspecs
from expcore.hookspecs import hookimpl
from expcore.host.contract import SPECS, is_firstresult
from expcore.testing import PluginSandbox
from expcore.types import Component

PROMISED = {
    "expcore_estimators": [],
    "expcore_schedules": [],
    "expcore_exporters": [],
    "expcore_hooks": [],
    "expcore_predicates": [],
    "expcore_train_hooks": ["experiment"],
    "expcore_eval_hooks": ["experiment"],
    "expcore_adapt_hooks": ["estimator", "hooks"],
    "expcore_before_schedule": ["experiment", "schedule", "options"],
    "expcore_after_schedule": ["experiment", "schedule", "result"],
    "expcore_before_train": ["experiment"],
    "expcore_after_train": ["experiment", "end"],
    "expcore_before_evaluate": ["experiment", "checkpoint"],
    "expcore_after_evaluate": ["experiment", "evaluation"],
    "expcore_before_export": ["experiment", "exporter", "checkpoint"],
    "expcore_after_export": ["experiment", "export"],
    "expcore_checkpoint_saved": ["experiment", "checkpoint"],
    "expcore_failed": ["experiment", "error"],
}


def test_hooks_and_their_arguments_are_those_promised():
    assert {name: list(inspect.signature(spec).parameters) for name, spec in SPECS.items()} == PROMISED


def test_pluggy_knows_every_one_of_them():
    manager = pluggy.PluginManager("expcore")
    manager.add_hookspecs(hookspecs)
    assert {name for name in vars(manager.hook) if not name.startswith("_")} == set(PROMISED)


def test_only_adapting_hooks_ends_with_the_first_answer():
    assert [name for name in SPECS if is_firstresult(name)] == ["expcore_adapt_hooks"]


def test_every_hook_says_when_it_is_called():
    for name, spec in SPECS.items():
        text = inspect.getdoc(spec)
        assert text.startswith(("Called ", "As ``expcore_estimators``")), name


def test_the_contract_can_be_read_in_two_minutes():
    assert len(Path(hookspecs.__file__).read_text().splitlines()) <= 170


@pytest.mark.parametrize("kind", ["estimators", "schedules", "exporters", "hooks", "predicates"])
def test_each_kind_has_a_catalogue_that_takes_components_and_mappings(kind):
    def plugin(answer):
        class Plugin:
            pass

        def give(self):
            return answer

        give.__qualname__ = f"Plugin.expcore_{kind}"
        setattr(Plugin, f"expcore_{kind}", hookimpl(give))
        return Plugin

    box = PluginSandbox().add("plugins", "m", plugin({"a": dict}))
    box.add("plugins", "c", plugin([Component(kind, "b", lambda: list)])).add("plugins", "n", plugin(None))
    assert box.host.load(kind, "a") is dict
    assert box.host.load(kind, "b") is list
