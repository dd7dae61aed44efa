"""PluginSandbox and fake distributions."""

from __future__ import annotations

import sys

import importlib_metadata
import pytest

from expcore.errors import InvalidArgument, PluginError
from expcore.hookspecs import hookimpl
from expcore.host import default_host
from expcore.testing import PluginSandbox, fake_distribution


class Exporter:
    def __init__(self, metric="loss"):
        self.metric = metric


class Observer:
    @hookimpl
    def expcore_train_hooks(self, experiment):
        return ["seen"]


def test_a_sandbox_sees_only_what_was_put_in():
    assert PluginSandbox().host.statuses() == []
    box = PluginSandbox().add("exporter", "mine", Exporter)
    (row,) = box.host.statuses()
    assert (row.kind, row.name, row.provider, row.version, row.status) == (
        "exporters",
        "mine",
        "sandbox",
        "0",
        "active",
    )
    assert row.target.endswith(":Exporter")
    assert box.host.create("exporters", "mine", metric="auc").metric == "auc"


def test_a_sandbox_does_not_see_the_environment(monkeypatch):
    monkeypatch.setenv("EXPCORE_DISABLE", "sandbox")
    monkeypatch.setenv("EXPCORE_STRICT_PLUGINS", "1")
    box = PluginSandbox().add("exporters", "mine", Exporter).add("plugins", "broken", Failing)
    assert box.host.load("exporters", "mine") is Exporter


def test_with_built_ins_the_real_ones_are_there_and_nothing_else(tmp_path, monkeypatch):
    fake_distribution(tmp_path, "stranger", "1", {"expcore.hooks": {"theirs": "m:x"}})
    monkeypatch.syspath_prepend(tmp_path)
    rows = PluginSandbox(builtins=True).host.statuses()
    assert {r.provider for r in rows} == {"expcore"}
    assert "train_and_evaluate" in {r.name for r in rows}


def test_it_takes_the_hosts_choices():
    box = PluginSandbox(use=["hooks/h=a"], disable=["hooks/g"], allow=["a", "b"])
    for dist in ("a", "b", "c"):
        box.add("hooks", "h", Exporter, dist=dist).add("hooks", "g", Exporter, dist=dist)
    assert box.host.resolve("hooks", "h").dist == "a"
    assert [(c.name, c.dist) for c in box.host.catalogue("hooks")] == [("h", "a"), ("h", "b")]
    with pytest.raises(ImportError):
        PluginSandbox(strict=True).add("plugins", "p", Failing).host.start()


class Failing:
    def __init__(self):
        raise RuntimeError("cannot be made")


def test_components_may_be_added_after_the_host_was_used():
    box = PluginSandbox()
    assert box.host.catalogue("exporters") == []
    box.add("exporters", "mine", Exporter)
    assert [c.name for c in box.host.catalogue("exporters")] == ["mine"]
    box.host.start()
    box.add("plugins", "p", Observer)
    assert box.host.ask("expcore_train_hooks", experiment=None) == [("sandbox:plugins/p", ["seen"])]


def test_observers_are_registered_and_checked():
    box = PluginSandbox().observe(Observer, "mine")
    assert box.host.ask("expcore_train_hooks", experiment=None) == [("code:plugins/mine", ["seen"])]
    with pytest.raises(PluginError):
        box.observe(object())


def test_an_unknown_kind_is_refused():
    with pytest.raises(InvalidArgument, match="did you mean 'exporters'"):
        PluginSandbox().add("exportrs", "x", Exporter)


def test_in_a_with_statement_it_is_the_default_host_and_afterwards_the_former_is_back():
    before = default_host()
    with PluginSandbox() as outer:
        assert default_host() is outer.host
        with pytest.raises(KeyError), PluginSandbox():
            raise KeyError
        assert default_host() is outer.host
    assert default_host() is before


def test_a_fake_distribution_is_what_an_installer_leaves(tmp_path, monkeypatch):
    info = fake_distribution(
        tmp_path / "site",
        "My.Dist",
        "1.2",
        {
            "expcore.exporters": {"a": "fake_pkg.sub.mod:A", "b": "fake_top:B"},
            "expcore.hooks": {"h": "fake_top:H"},
        },
        {"fake_pkg.sub.mod": "A = 'a'\n", "fake_pkg": "X = 1\n", "fake_top": "B = 'b'\n"},
    )
    assert info == tmp_path / "site" / "my_dist-1.2.dist-info"
    monkeypatch.syspath_prepend(tmp_path / "site")
    dist = importlib_metadata.distribution("my-dist")
    assert (dist.name, dist.version) == ("My.Dist", "1.2")
    assert {(e.group, e.name, e.value) for e in dist.entry_points} == {
        ("expcore.exporters", "a", "fake_pkg.sub.mod:A"),
        ("expcore.exporters", "b", "fake_top:B"),
        ("expcore.hooks", "h", "fake_top:H"),
    }
    assert dist.entry_points["a"].load() == "a"
    assert sys.modules["fake_pkg"].X == 1
    assert sorted(str(f) for f in dist.files) == [
        "fake_pkg/__init__.py",
        "fake_pkg/sub/__init__.py",
        "fake_pkg/sub/mod.py",
        "fake_top.py",
        "my_dist-1.2.dist-info/METADATA",
        "my_dist-1.2.dist-info/RECORD",
        "my_dist-1.2.dist-info/entry_points.txt",
    ]
    assert all(f.locate().exists() for f in dist.files)
    for name in [m for m in sys.modules if m.partition(".")[0] in ("fake_pkg", "fake_top")]:
        del sys.modules[name]
