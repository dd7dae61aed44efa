"""The built-in observer keeps every promise of an observer, with no expected failures."""

from __future__ import annotations

from importlib.metadata import distribution
from types import SimpleNamespace
from typing import ClassVar

import pytest

from expcore import PluginHost, hookimpl
from expcore.conformance import check
from expcore.testing import PluginSandbox
from expcore_plugins.observers import default_hooks

pytestmark = pytest.mark.proof


def keeps_every_promise(component, **given):
    report = check(component, kind="observer", on_fail="raise", **given)
    report.raise_for_failures("should")
    assert [r.message for r in report.results if r.status != "passed"] == []
    return report


def test_there_is_one_built_in_observer():
    found = [e.name for e in distribution("expcore").entry_points if e.group == "expcore.plugins"]
    assert found == ["default_hooks"]


def test_the_built_in_observer_keeps_every_promise():
    keeps_every_promise(default_hooks)


class AmongTheBuiltIns:
    """The built-in observer, in a host that has the hooks which it adds."""

    added: ClassVar[list[str]] = []

    @hookimpl
    def expcore_train_hooks(self, experiment):
        host: PluginHost = PluginSandbox(builtins=True, disable=["hooks/summaries"]).host
        seen = SimpleNamespace(
            estimator=experiment.estimator,
            train_hooks=experiment.train_hooks,
            config=experiment.config,
            plugins=host,
        )
        hooks = default_hooks.expcore_train_hooks(seen)
        self.added.extend(type(hook).__name__ for hook in hooks)
        return hooks


def test_so_it_does_where_there_are_hooks_to_add():
    keeps_every_promise(AmongTheBuiltIns)
    assert {"NanGuard", "Logging"} <= set(AmongTheBuiltIns.added)
