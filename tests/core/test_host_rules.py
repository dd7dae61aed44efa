"""The rules that span several parts: objects in code, what is recorded, deprecations, one host or several."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from pluggy import HookspecMarker

import expcore
from expcore.errors import ComponentConflict, PluginLoadError
from expcore.hookspecs import hookimpl
from expcore.host import PluginHost, contract
from expcore.testing import PluginSandbox, fake_distribution
from expcore.testing.numpy_estimator import NumpyEstimator
from expcore_plugins.exporters.best import Best


class Writes:
    """A format that leaves its name."""

    def __init__(self, name="theirs"):
        self.name = name

    def write(self, estimator, directory):
        (Path(directory) / self.name).write_text("")


def data():
    return np.ones((8, 1)), np.ones(8)


def experiment(folder, **options):
    estimator = NumpyEstimator(str(folder))
    return expcore.Experiment(estimator, data, data, train_steps=2, **options)


# --- resolution -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("choices", [{}, {"use": ["exporters/best=d"]}, {"disable": ["exporters/best"]}])
def test_an_object_given_in_code_is_used_whatever_is_installed_chosen_or_switched_off(choices, tmp_path):
    with PluginSandbox(builtins=True, **choices) as box:
        box.add("exporters", "best", lambda *_, **__: pytest.fail("was used"), dist="d")
        made = experiment(tmp_path, export_strategies=[Best(Writes("mine"))])
        _, (path,) = made.train_and_evaluate()
    assert [each.name for each in Path(path).iterdir()] == ["mine"]


def test_every_experiment_may_have_a_host_of_its_own(tmp_path):
    def told(result):
        return lambda experiment: result

    made = []
    for n in range(2):
        box = PluginSandbox().add("schedules", "mine", told(n), dist=f"dist-{n}")
        made.append(experiment(tmp_path / str(n), plugins=box.host))
    assert [each.run("mine") for each in made] == [0, 1]


def test_the_record_of_a_run_has_replacements_what_is_blocked_and_the_settings(tmp_path):
    table = {"use": {"exporters/npz": "b"}, "disable": ["hooks/progress_bar"]}
    box = PluginSandbox(builtins=True, settings=table)
    for dist in ("a", "b"):
        box.add("exporters", "npz", Writes, dist=dist, version="1.5")
    box.add("predicates", "until_step", Writes, dist="c", version="2")
    experiment(tmp_path, plugins=box.host).train()
    kept = json.loads((tmp_path / "expcore" / "run.json").read_text())["plugins"]
    assert kept["settings"] == {"path": None, "content": table}
    assert kept["blocked"] == ["expcore:hooks/progress_bar"]
    assert kept["components"]["exporters/npz"]["dist"] == "b"
    assert kept["components"]["predicates/until_step"]["replaced"]["dist"] == "expcore"


# --- a broken plugin hurts only who asks for it ---------------------------------------------------------


def test_a_replacement_that_cannot_be_imported_is_an_error_and_never_the_built_in(tmp_path, monkeypatch):
    fake_distribution(
        tmp_path, "broken-best", "1", {"expcore.exporters": {"best": "no_such_module_at_all:B"}}
    )
    monkeypatch.syspath_prepend(tmp_path)
    host = PluginHost(environ={})
    with pytest.raises(PluginLoadError, match=r"exporter 'best' \(broken-best 1\)"):
        host.load("exporters", "best")
    assert host.explain("exporters", "best").winner.dist == "broken-best"
    for options in ({"use": ["exporters/best=expcore"]}, {"disable": ["broken-best:exporters/best"]}):
        assert PluginHost(environ={}, **options).load("exporters", "best").__module__.startswith("expcore_pl")


def test_a_hundred_broken_distributions_are_listed_without_an_import(tmp_path, monkeypatch):
    for n in range(100):
        entries = {"expcore.hooks": {f"h{n}": f"ruined_{n}:H"}, "expcore.plugins": {"w": f"ruined_{n}"}}
        fake_distribution(tmp_path, f"ruined-{n}", "1", entries, {f"ruined_{n}": "raise SystemExit(3)\n"})
    monkeypatch.syspath_prepend(tmp_path)
    host = PluginHost(environ={})
    shot = host.snapshot()
    assert len([row for row in host.statuses() if row.provider.startswith("ruined-")]) == 200
    assert len([key for key in shot["components"] if key.startswith("hooks/h")]) == 100
    assert not [name for name in sys.modules if name.startswith("ruined_")]


# --- deprecations ---------------------------------------------------------------------------------------


@pytest.fixture
def old_specs(monkeypatch):
    """As if a hook and an argument of another one were to be removed."""
    marked = HookspecMarker("expcore")

    @marked(warn_on_impl=DeprecationWarning("deprecated since 0.2, removed in 0.4; use expcore_hooks"))
    def expcore_train_hooks(experiment):
        pass

    @marked(warn_on_impl_args={"result": DeprecationWarning("'result' is removed in 0.4; use 'schedule'")})
    def expcore_after_schedule(experiment, schedule, result):
        pass

    for spec in (expcore_train_hooks, expcore_after_schedule):
        monkeypatch.setitem(contract.SPECS, spec.__name__, spec)


class Old:
    @hookimpl
    def expcore_train_hooks(self, experiment):
        return None

    @hookimpl
    def expcore_after_schedule(self, result):
        return None


class New:
    @hookimpl
    def expcore_after_schedule(self, schedule):
        return None


def test_a_deprecation_names_distribution_version_hook_and_the_release_that_removes(old_specs, caplog):
    host = PluginSandbox().add("plugins", "old", Old, "old-dist", "1.2").add("plugins", "new", New).host
    host.start()
    host.ask("expcore_train_hooks", experiment=None)
    assert caplog.messages == [
        "plugin 'old' (old-dist 1.2): expcore_train_hooks(): deprecated since 0.2, removed in 0.4; use "
        "expcore_hooks",
        "plugin 'old' (old-dist 1.2): expcore_after_schedule(): 'result' is removed in 0.4; use 'schedule'",
    ]
    assert host.failures == []


def test_nothing_of_todays_hooks_is_deprecated(caplog):
    PluginSandbox().add("plugins", "old", Old).host.start()
    assert caplog.messages == []


def test_a_conflict_with_a_broken_one_advises_to_choose_what_works(tmp_path, monkeypatch):
    works = {"expcore.exporters": {"vv": "json:dumps"}}
    fake_distribution(tmp_path, "expcore-a", "1.0", {"expcore.exporters": {"vv": "no_such_module:x"}})
    fake_distribution(tmp_path, "expcore-b", "1.0", works)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ComponentConflict) as caught:
        PluginHost(environ={}).resolve("exporters", "vv")
    assert "--use exporters/vv=expcore-b" in str(caught.value)
    assert "pip uninstall expcore-a" in str(caught.value)
