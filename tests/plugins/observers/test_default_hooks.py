"""default_hooks: which hooks every training run gets, and how each is switched off or replaced."""

from __future__ import annotations

import io
import logging
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from expcore.cluster import RunConfig, parse_tf_config
from expcore.experiment import Experiment
from expcore.testing import PluginSandbox
from expcore.testing.numpy_estimator import NumpyEstimator
from expcore_plugins.hooks.logging import Logging
from expcore_plugins.hooks.nan_guard import NanGuard
from expcore_plugins.hooks.progress_bar import ProgressBar
from expcore_plugins.hooks.summaries import Summaries
from expcore_plugins.observers import default_hooks


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())


def experiment(config=None, train_hooks=(), host=None, takes_hooks=True):
    estimator = SimpleNamespace(**({"supports_hook": lambda hook: True} if takes_hooks else {}))
    return SimpleNamespace(
        estimator=estimator,
        config=config or RunConfig(),
        train_hooks=tuple(train_hooks),
        plugins=host or PluginSandbox(builtins=True).host,
    )


def hooks(*args, **kwargs):
    return {type(h): h for h in default_hooks.expcore_train_hooks(experiment(*args, **kwargs))}


def test_logging_summaries_and_nan_guard_by_the_configs_rhythms():
    found = hooks(RunConfig(log_step_count_steps=20, save_summary_steps=30))
    assert {kind: h.every_n_steps for kind, h in found.items()} == {NanGuard: 20, Logging: 20, Summaries: 30}


def test_a_config_without_these_settings_gets_the_defaults_of_runconfig():
    found = hooks(SimpleNamespace())
    assert {kind: h.every_n_steps for kind, h in found.items()} == {
        NanGuard: 100,
        Logging: 100,
        Summaries: 100,
    }


@pytest.mark.parametrize("synchronous", [False, True])
@pytest.mark.parametrize("kind", ["chief", "worker"])
def test_who_makes_each_step_with_the_chief_leaves_the_line_to_it(kind, synchronous):
    cluster = {"chief": ["a:1"], "worker": ["b:1"]}
    task = parse_tf_config({"cluster": cluster, "task": {"type": kind, "index": 0}})
    found = experiment(RunConfig(task=task))
    found.estimator.synchronous = synchronous
    kinds = {type(hook) for hook in default_hooks.expcore_train_hooks(found)}
    assert (Logging in kinds) == (kind == "chief" or not synchronous)
    assert NanGuard in kinds


@pytest.mark.parametrize("none", [None, 0])
def test_no_rhythm_means_no_logging_and_no_summaries_but_the_guard_stays(none):
    found = hooks(SimpleNamespace(log_step_count_steps=none, save_summary_steps=none))
    assert {kind: h.every_n_steps for kind, h in found.items()} == {NanGuard: 100}


def test_the_progress_bar_comes_only_on_a_terminal(monkeypatch):
    assert ProgressBar not in hooks()
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert ProgressBar in hooks()
    monkeypatch.setattr(sys, "stderr", None)
    assert ProgressBar not in hooks()


def test_only_the_chief_writes_summaries_and_draws(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert set(hooks(SimpleNamespace(is_chief=False))) == {NanGuard, Logging}
    assert set(hooks(SimpleNamespace(is_chief=True))) == {NanGuard, Logging, Summaries, ProgressBar}


@pytest.mark.parametrize(
    ("name", "kind"),
    [("nan_guard", NanGuard), ("logging", Logging), ("summaries", Summaries), ("progress_bar", ProgressBar)],
)
def test_a_blocked_hook_is_left_out_and_the_others_stay(monkeypatch, name, kind):
    monkeypatch.setattr(sys, "stderr", Terminal())
    host = PluginSandbox(builtins=True, disable=[f"hooks/{name}"]).host
    assert set(hooks(host=host)) == {NanGuard, Logging, Summaries, ProgressBar} - {kind}


def test_a_third_partys_hook_of_the_name_takes_the_place():
    class Loud:
        def __init__(self, every_n_steps):
            self.every_n_steps = every_n_steps

        def after_steps(self, run):
            pass

    host = PluginSandbox(builtins=True).add("hooks", "logging", Loud).host
    found = hooks(host=host)
    assert found[Loud].every_n_steps == 100
    assert Logging not in found


@pytest.mark.parametrize(
    ("dists", "cause"),
    [
        ({"mylog": lambda: None}, "hook 'logging' (mylog 0): it has no parameter 'every_n_steps'"),
        ({"one": lambda: None, "two": lambda: None}, "2 plugins provide it"),
    ],
)
def test_a_replacement_that_cannot_be_made_is_left_out_with_a_line_and_the_others_stay(caplog, dists, cause):
    sandbox = PluginSandbox(builtins=True)
    for dist, factory in dists.items():
        sandbox.add("hooks", "logging", factory, dist=dist)
    made = hooks(host=sandbox.host)
    assert NanGuard in set(made)
    assert Logging not in set(made)
    [line] = [r.getMessage() for r in caplog.records if r.name.endswith("default_hooks")]
    assert line.startswith("the hook 'logging' is left out of this run: ")
    assert cause in line


def test_a_hook_of_the_same_class_among_the_experiments_own_takes_the_place():
    assert set(hooks(train_hooks=[NanGuard(metric="other"), Logging(7)])) == {Summaries}


def test_an_estimator_that_takes_no_expcore_hooks_gets_none():
    assert hooks(takes_hooks=False) == {}


def test_a_real_run_gets_them_and_an_estimator_without_tensorflow_no_summaries(tmp_path, caplog):
    caplog.set_level(logging.INFO, "expcore.training")
    x = np.ones((32, 1))
    config = RunConfig(model_dir=str(tmp_path), log_step_count_steps=2, save_summary_steps=1)
    with PluginSandbox(builtins=True):
        Experiment(
            NumpyEstimator(config=config), lambda: [(x, x[:, 0])] * 5, None, train_steps=5
        ).train_pass()
    lines = [r.getMessage() for r in caplog.records if r.name == "expcore.training"]
    assert [line.partition(":")[0] for line in lines] == ["step 2", "step 4", "step 5"]
    assert "tfevents" not in "".join(p.name for p in tmp_path.iterdir())


def test_blocking_the_plugin_takes_all_of_them_away(tmp_path, caplog):
    caplog.set_level(logging.INFO, "expcore.training")
    x = np.ones((32, 1))
    with PluginSandbox(builtins=True, disable=["plugins/default_hooks"]):
        estimator = NumpyEstimator(str(tmp_path))
        Experiment(estimator, lambda: [(x, x[:, 0])] * 5, None, train_steps=5).train_pass()
    assert [r for r in caplog.records if r.name == "expcore.training"] == []
