"""Tracing: the file that has a line for each call of a plugin and each import of a component."""

from __future__ import annotations

import json
import sys

import pytest

from expcore.errors import CannotWrite, PluginLoadError
from expcore.hookspecs import hookimpl
from expcore.host import PluginHost
from expcore.host.discovery import Distribution, Entry
from expcore.host.trace import Trace
from expcore.testing import VirtualClock, fake_distribution


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def traced(path, **options):
    return PluginHost(environ={"EXPCORE_TRACE_PLUGINS": str(path)}, **options)


class Watch:
    @hookimpl
    def expcore_train_hooks(self, experiment):
        return ["x" * 300]

    @hookimpl
    def expcore_before_train(self, experiment):
        raise ValueError("not\ntoday")

    @hookimpl
    def expcore_adapt_hooks(self, estimator, hooks):
        return hooks

    @hookimpl
    def expcore_after_schedule(self, schedule):
        return None


def test_each_call_of_a_plugin_is_a_line_with_its_result_or_its_error(tmp_path):
    host = traced(tmp_path / "t", entry_points=[])
    host.register(Watch, "watch")
    host.ask("expcore_train_hooks", experiment=None)
    host.notify("expcore_before_train", experiment=None)
    host.first("expcore_adapt_hooks", estimator=None, hooks=[1, 2])
    host.notify("expcore_after_schedule", experiment=None, schedule="s", result=None)
    found = lines(tmp_path / "t")
    keys = {"event", "hook", "plugin", "dist", "version", "ms", "result", "error"}
    assert all(set(line) == keys and line["ms"] >= 0 for line in found)
    assert {(line["event"], line["plugin"], line["dist"]) for line in found} == {
        ("call", "code:plugins/watch", "code")
    }
    assert [(line["hook"], line["result"], line["error"]) for line in found] == [
        ("expcore_train_hooks", ("['" + "x" * 300)[:200], None),
        ("expcore_before_train", None, "ValueError: not today"),
        ("expcore_adapt_hooks", "[1, 2]", None),
        ("expcore_after_schedule", "None", None),
    ]


@pytest.fixture
def installed(tmp_path, monkeypatch):
    site = tmp_path / "site"
    fake_distribution(
        site,
        "traced-dist",
        "1.5",
        {
            "expcore.hooks": {"fine": "traced_fine_mod:Hook", "bad": "traced_bad_mod:Hook"},
            "expcore.plugins": {"watch": "traced_watch_mod"},
        },
        {
            "traced_fine_mod": "class Hook: pass\n",
            "traced_bad_mod": "import traced_nowhere\n",
            "traced_watch_mod": "from expcore import hookimpl\n"
            "@hookimpl\n"
            "def expcore_hooks(): return {'made': dict}\n",
        },
    )
    monkeypatch.syspath_prepend(site)
    yield tmp_path / "t"
    for name in ("traced_fine_mod", "traced_watch_mod"):
        sys.modules.pop(name, None)


def test_each_import_is_a_line_once_and_a_failed_one_each_time(installed):
    host = traced(installed, disable=["expcore"])
    host.catalogue("hooks")
    host.statuses()
    assert lines(installed) == []
    for _ in range(2):
        host.load("hooks", "fine")
        with pytest.raises(PluginLoadError):
            host.load("hooks", "bad")
    host.start()
    found = lines(installed)
    assert all(line["event"] == "import" and line["dist"] == "traced-dist" for line in found)
    assert {(line["plugin"], line["version"], line["result"]) for line in found} == {
        (f"traced-dist:{label}", "1.5", None) for label in ("hooks/fine", "hooks/bad", "plugins/watch")
    }
    missing = "ModuleNotFoundError: No module named 'traced_nowhere'"
    assert [(line["component"], line["error"]) for line in found] == [
        ("hooks/fine", None),
        ("hooks/bad", missing),
        ("hooks/bad", missing),
        ("plugins/watch", None),
    ]


def test_a_catalogue_that_an_observer_works_out_is_a_call_and_its_component_an_import(installed):
    host = traced(installed, disable=["expcore"])
    host.start()
    assert host.load("hooks", "made") is dict
    found = [(line["event"], line.get("hook", line.get("component"))) for line in lines(installed)]
    assert found == [("import", "plugins/watch"), ("call", "expcore_hooks"), ("import", "hooks/made")]


def test_two_hosts_append_to_one_file(tmp_path):
    for _ in range(2):
        host = traced(tmp_path / "t", entry_points=[])
        host.register(Watch)
        host.ask("expcore_train_hooks", experiment=None)
    assert len(lines(tmp_path / "t")) == 2


@pytest.mark.parametrize("environ", [{}, {"EXPCORE_TRACE_PLUGINS": " "}])
def test_nothing_is_written_where_no_file_is_named(environ, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    host = PluginHost(environ=environ, entry_points=[])
    host.register(Watch)
    host.ask("expcore_train_hooks", experiment=None)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_an_error_before_anything_else(tmp_path):
    with pytest.raises(CannotWrite, match=r"EXPCORE_TRACE_PLUGINS='.*': No such file or directory; name a"):
        traced(tmp_path / "no" / "t")


def test_a_file_that_can_no_longer_be_written_is_one_warning_and_no_plugins_fault(tmp_path, caplog):
    folder = tmp_path / "gone"
    folder.mkdir()
    host = traced(folder / "t", entry_points=[])
    host.register(Watch)
    (folder / "t").unlink()
    folder.rmdir()
    for _ in range(2):
        assert host.ask("expcore_train_hooks", experiment=None)
    assert [m for m in caplog.messages if "nothing more is traced" in m] == caplog.messages
    assert len(caplog.messages) == 1


def test_time_is_measured_in_milliseconds_by_the_clock(tmp_path):
    clock = VirtualClock()
    trace = Trace(str(tmp_path / "t"), clock)
    entry = Entry("plugins", "p", Distribution())
    trace.traced(lambda: clock.sleep(0.25), "expcore_before_train", "code:plugins/p", entry)()
    assert [line["ms"] for line in lines(tmp_path / "t")] == [250.0]


def test_a_result_without_a_repr_hurts_nobody(tmp_path):
    class Shy:
        def __repr__(self):
            raise RuntimeError("no")

    class Gives:
        @hookimpl
        def expcore_train_hooks(self, experiment):
            return Shy()

    host = traced(tmp_path / "t", entry_points=[])
    host.register(Gives)
    assert len(host.ask("expcore_train_hooks", experiment=None)) == 1
    assert lines(tmp_path / "t")[0]["result"] == "<Shy, whose repr raises RuntimeError>"
