"""Observers: registering, starting, and the three ways in which the host calls hooks."""

from __future__ import annotations

import dataclasses
import sys
import types

import pluggy
import pytest

from expcore.errors import InvalidArgument, PluginError, PluginLoadError, StoppedBySignal, UnknownComponent
from expcore.hookspecs import hookimpl
from expcore.host import PluginHost
from expcore.testing import PluginSandbox, fake_distribution
from expcore.types import Component


def observer(hook="expcore_before_train", result=None, called=None, error=None):
    """An observer whose one hook notes its call, then raises or answers."""

    class Observer:
        pass

    def answer(self, experiment):
        if called is not None:
            called.append(hook)
        if error is not None:
            raise error
        return result

    answer.__name__ = hook
    answer.__qualname__ = f"Observer.{hook}"
    setattr(Observer, hook, hookimpl(answer))
    return Observer


def host_of(*observers, **options):
    box = PluginSandbox(**options)
    for i, each in enumerate(observers):
        box.add("plugins", f"o{i}", each, dist=f"dist-{i}", version=f"{i}.0")
    return box.host


# --- asking -------------------------------------------------------------------------------------------


def test_ask_gives_each_plugins_name_and_answer_last_registered_first():
    host = host_of(*(observer("expcore_train_hooks", result=[i]) for i in range(3)))
    assert host.ask("expcore_train_hooks", experiment=None) == [
        ("dist-2:plugins/o2", [2]),
        ("dist-1:plugins/o1", [1]),
        ("dist-0:plugins/o0", [0]),
    ]


def test_ask_leaves_out_those_that_answer_none():
    host = host_of(observer("expcore_train_hooks", result=[1]), observer("expcore_train_hooks"))
    assert host.ask("expcore_train_hooks", experiment=None) == [("dist-0:plugins/o0", [1])]


def test_tryfirst_and_trylast_are_kept():
    class First:
        @hookimpl(tryfirst=True)
        def expcore_train_hooks(self, experiment):
            return ["first"]

    class Last:
        @hookimpl(trylast=True)
        def expcore_train_hooks(self, experiment):
            return ["last"]

    host = host_of(First, observer("expcore_train_hooks", result=["plain"]), Last)
    assert [a for _, a in host.ask("expcore_train_hooks", experiment=None)] == [
        ["first"],
        ["plain"],
        ["last"],
    ]


def test_ask_fails_fast_and_names_plugin_distribution_and_version():
    called = []
    host = host_of(observer(called=called), observer(error=ValueError("no")), observer(called=called))
    with pytest.raises(ValueError, match="no") as caught:
        host.ask("expcore_before_train", experiment=None)
    assert caught.value.__notes__ == ["raised in expcore_before_train() of plugin 'o1' (dist-1 1.0)"]
    assert called == ["expcore_before_train"]


def test_each_plugin_is_called_once():
    called = []
    host = host_of(observer(called=called), observer(called=called), observer("expcore_train_hooks"))
    host.ask("expcore_before_train", experiment=None)
    assert len(called) == 2


def test_a_plugin_gets_only_the_arguments_it_takes():
    class Few:
        @hookimpl
        def expcore_before_schedule(self, schedule):
            return schedule

    host = host_of(Few)
    asked = host.ask("expcore_before_schedule", experiment=None, schedule="train", options={})
    assert asked == [("dist-0:plugins/o0", "train")]


def test_an_unknown_hook_is_refused_with_the_nearest():
    with pytest.raises(InvalidArgument, match="did you mean 'expcore_before_train'"):
        host_of().ask("expcore_befor_train")


# --- the first answer ---------------------------------------------------------------------------------


def adapter(answer, called):
    class Adapter:
        @hookimpl
        def expcore_adapt_hooks(self, estimator, hooks):
            called.append(answer)
            if isinstance(answer, Exception):
                raise answer
            return answer

    return Adapter


def test_first_gives_the_first_answer_and_asks_no_further():
    called = []
    host = host_of(adapter(["c"], called), adapter(["b"], called), adapter(None, called))
    assert host.first("expcore_adapt_hooks", estimator=None, hooks=[]) == ["b"]
    assert called == [None, ["b"]]


def test_first_gives_none_where_nobody_answers():
    assert host_of(adapter(None, [])).first("expcore_adapt_hooks", estimator=None, hooks=[]) is None
    assert host_of().first("expcore_adapt_hooks", estimator=None, hooks=[]) is None


def test_an_empty_answer_is_an_answer():
    host = host_of(adapter(["never"], []), adapter([], []))
    assert host.first("expcore_adapt_hooks", estimator=None, hooks=[]) == []


def test_an_error_before_the_first_answer_names_the_plugin():
    with pytest.raises(ValueError, match="no") as caught:
        host_of(adapter(ValueError("no"), [])).first("expcore_adapt_hooks", estimator=None, hooks=[])
    assert "plugin 'o0' (dist-0 0.0)" in caught.value.__notes__[0]


def test_third_parties_are_asked_before_the_built_ins():
    box = PluginSandbox().add("plugins", "z", adapter("built-in", []), dist="expcore")
    host = box.add("plugins", "a", adapter("third", []), dist="a").host
    assert host.first("expcore_adapt_hooks", estimator=None, hooks=[]) == "third"


@pytest.mark.parametrize("call", ["ask", "notify"])
def test_hooks_of_one_answer_and_of_many_are_not_mixed_up(call):
    with pytest.raises(InvalidArgument, match=r"use first\(\)"):
        getattr(host_of(), call)("expcore_adapt_hooks", estimator=None, hooks=[])
    with pytest.raises(InvalidArgument, match=r"use ask or notify\(\)"):
        host_of().first("expcore_train_hooks", experiment=None)


# --- notifying ----------------------------------------------------------------------------------------


def test_notify_calls_everyone_and_gives_the_errors_each_logged_with_its_plugin(caplog):
    called = []
    host = host_of(
        observer(called=called),
        observer(error=ValueError("one")),
        observer(called=called),
        observer(error=KeyError("two")),
    )
    errors = host.notify("expcore_before_train", experiment=None)
    assert [type(e) for e in errors] == [KeyError, ValueError]
    assert len(called) == 2
    assert caplog.messages == [
        "plugin 'o3' (dist-3 3.0) failed in expcore_before_train(): KeyError: 'two'",
        "plugin 'o1' (dist-1 1.0) failed in expcore_before_train(): ValueError: one",
    ]
    assert errors[1].__notes__ == ["raised in expcore_before_train() of plugin 'o1' (dist-1 1.0)"]


def test_notify_gives_nothing_where_all_went_well():
    assert host_of(observer()).notify("expcore_before_train", experiment=None) == []


def test_an_interrupt_is_not_taken_for_a_plugins_error():
    host = host_of(observer(error=KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        host.notify("expcore_before_train", experiment=None)


# --- starting -----------------------------------------------------------------------------------------


def test_observers_are_imported_at_the_start_once_and_not_before(tmp_path, monkeypatch):
    fake_distribution(
        tmp_path,
        "expcore-watch",
        "1",
        {"expcore.plugins": {"watch": "start_watch_mod", "made": "start_watch_mod:Made"}},
        {
            "start_watch_mod": "import expcore.hookspecs as h\n"
            "@h.hookimpl\n"
            "def expcore_train_hooks(experiment): return ['module']\n"
            "class Made:\n"
            "    n = 0\n"
            "    def __init__(self): Made.n += 1\n"
            "    @h.hookimpl\n"
            "    def expcore_train_hooks(self, experiment): return ['instance', Made.n]\n"
        },
    )
    monkeypatch.syspath_prepend(tmp_path)
    host = PluginHost(environ={}, disable=["expcore"])
    host.catalogue("hooks")
    host.snapshot()
    host.statuses()
    assert "start_watch_mod" not in sys.modules
    host.start()
    host.start()
    assert [a for _, a in host.ask("expcore_train_hooks", experiment=None)] == [["module"], ["instance", 1]]
    assert sorted(host.snapshot()["plugins"]) == ["expcore-watch:plugins/made", "expcore-watch:plugins/watch"]
    sys.modules.pop("start_watch_mod")


def test_a_moment_starts_the_host_by_itself():
    called = []
    host_of(observer(called=called)).notify("expcore_before_train", experiment=None)
    assert called


def test_a_broken_observer_is_one_line_and_skipped_and_the_others_run(tmp_path, monkeypatch, caplog):
    fake_distribution(
        tmp_path,
        "expcore-mlfoo",
        "0.3.1",
        {"expcore.plugins": {"mlfoo": "mlfoo_host_mod"}},
        {"mlfoo_host_mod": "import mlfoo_that_is_not_there\n"},
    )
    monkeypatch.syspath_prepend(tmp_path)
    host = PluginHost(environ={}, disable=["expcore"])
    host.register(observer("expcore_train_hooks", result=[1]))
    host.start()
    host.start()
    assert len(host.ask("expcore_train_hooks", experiment=None)) == 1
    assert caplog.messages == [
        "plugins/mlfoo (expcore-mlfoo 0.3.1): import failed: ModuleNotFoundError: No module named "
        "'mlfoo_that_is_not_there'; repair or uninstall expcore-mlfoo, or skip it with "
        "EXPCORE_DISABLE=expcore-mlfoo:plugins/mlfoo; it is skipped"
    ]
    assert [r.status for r in host.statuses("plugins") if r.name == "mlfoo"] == ["broken"]
    with pytest.raises(PluginLoadError, match="mlfoo_that_is_not_there"):
        PluginHost(environ={}, disable=["expcore"], strict=True).start()


def test_an_observer_declared_twice_by_one_distribution_is_skipped_not_chosen_by_order(caplog):
    box = PluginSandbox().add("plugins", "p", observer(), dist="d").add("plugins", "p", observer(), dist="d")
    box.host.start()
    assert "declares that name more than once" in caplog.messages[0]
    assert [r.status for r in box.host.statuses("plugins")] == ["conflict", "conflict"]
    assert not box.host.manager.has_plugin("d:plugins/p")


def test_two_distributions_may_have_observers_of_one_name():
    box = PluginSandbox().add("plugins", "p", observer(), dist="c").add("plugins", "p", observer(), dist="d")
    box.host.start()
    assert [r.status for r in box.host.statuses("plugins")] == ["active", "active"]


def test_a_failed_start_is_tried_again_and_keeps_what_was_registered():
    class Misspelt:
        @hookimpl
        def expcore_after_trian(self, experiment):
            pass

    called = []
    host = host_of(observer(called=called), Misspelt)
    for _ in range(2):
        with pytest.raises(PluginError):
            host.start()
    assert host.manager.has_plugin("dist-0:plugins/o0")


def test_a_plugin_may_ask_the_host_for_components_while_it_is_made():
    box = PluginSandbox()
    found = []

    class Curious:
        def __init__(self):
            found.append(box.host.load("hooks", "h"))

        @hookimpl
        def expcore_before_train(self, experiment):
            pass

    box.add("hooks", "h", dict).add("plugins", "curious", Curious).host.start()
    assert found == [dict]


def test_a_plugin_that_asks_for_an_unknown_component_while_it_is_made_is_told_so():
    box = PluginSandbox()

    class Lost:
        def __init__(self):
            box.host.load("hooks", "nowhere")

    box.add("plugins", "lost", Lost).host.start()
    assert [type(f.error) for f in box.host.failures] == [UnknownComponent]


# --- the contract -------------------------------------------------------------------------------------


def refused(plugin):
    """What register() says of a plugin; an installed one of the kind is skipped with one line."""
    with pytest.raises(PluginError) as caught:
        host_of().register(plugin() if isinstance(plugin, type) else plugin, "o0")
    host = host_of(plugin)
    host.start()
    (failure,) = host.failures
    assert failure.phase == "register"
    return str(caught.value)


def test_a_misspelt_hook_is_an_error_that_names_the_plugin_and_the_nearest_hook():
    class Misspelt:
        @hookimpl
        def expcore_after_trian(self, experiment):
            pass

    with pytest.raises(PluginError) as caught:
        host_of(Misspelt).start()
    assert str(caught.value) == (
        "plugin 'o0' (dist-0 0.0): there is no hook 'expcore_after_trian'; did you mean "
        "'expcore_after_train'?; correct it, or skip the plugin with EXPCORE_DISABLE=dist-0:plugins/o0"
    )
    host_of(Misspelt, disable=["dist-0:plugins/o0"]).start()
    with pytest.raises(PluginError, match="did you mean 'expcore_after_train'"):
        host_of().register(Misspelt)


def test_a_misspelt_hook_is_an_error_whatever_else_is_wrong_with_the_plugin():
    class Both:
        def expcore_before_train(self, experiment):
            pass

        @hookimpl
        def expcore_aaaaaaaaaaaaaaaaaaaaaa(self):
            pass

        @hookimpl
        def expcore_after_trian(self, experiment):
            pass

    with pytest.raises(PluginError, match="expcore_after_trian"):
        host_of(Both).start()


def test_a_hook_that_is_like_no_other_hurts_only_its_plugin():
    class Foreign:
        @hookimpl
        def expcore_zzzzzzzzzzzzzzzzzzzzzz(self):
            pass

    assert "there is no hook 'expcore_zzzzzzzzzzzzzzzzzzzzzz'" in refused(Foreign)


class DirRaises:
    def __dir__(self):
        raise LookupError("no names today")

    @hookimpl
    def expcore_before_train(self, experiment):
        pass


class Worse(BaseException):
    pass


def raises_worse():
    class Bad:
        def __init__(self):
            raise Worse("not even an Exception")

    return Bad


SHARED = observer("expcore_train_hooks", result=["shared"])()


@pytest.mark.parametrize(
    ("plugin", "phase", "cause"),
    [
        (types.ModuleType("empty"), "register", "it has no hook"),
        (DirRaises, "register", "LookupError: no names today"),
        (SHARED, "register", "the same object is registered already"),
        (raises_worse(), "import", "Worse: not even an Exception"),
    ],
    ids=["no hook", "dir", "same object", "base exception"],
)
def test_a_faulty_observer_is_one_line_with_the_way_to_skip_it_and_the_others_run(
    plugin, phase, cause, caplog
):
    host = host_of(SHARED, plugin)
    host.start()
    host.start()
    assert host.ask("expcore_train_hooks", experiment=None) == [("dist-0:plugins/o0", ["shared"])]
    (line,) = caplog.messages
    assert line.startswith(f"plugins/o1 (dist-1 1.0): {phase} failed: ")
    assert cause in line
    assert "skip it with EXPCORE_DISABLE=dist-1:plugins/o1; it is skipped" in line
    assert [(f.dist, f.entry, f.phase) for f in host.failures] == [("dist-1", "plugins/o1", phase)]
    with pytest.raises(PluginLoadError, match="EXPCORE_DISABLE=dist-1:plugins/o1"):
        host_of(SHARED, plugin, strict=True).start()
    host_of(SHARED, plugin, strict=True, disable=["dist-1:plugins/o1"]).start()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), StoppedBySignal(15)], ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("where", ["__init__", "__dir__"])
def test_who_ends_the_run_while_an_observer_is_made_or_registered_ends_it(error, where):
    def end(self):
        raise error

    with pytest.raises(type(error)):
        host_of(type("Interrupted", (), {where: end})).start()


def test_a_plugin_that_pluggy_refuses_leaves_nothing_behind(monkeypatch):
    host = host_of(observer())
    refuse = pluggy.PluginValidationError(None, "refused")

    def verify(hook, implementation):
        raise refuse

    monkeypatch.setattr(host.manager, "_verify_hook", verify)
    host.start()
    assert [f.phase for f in host.failures] == ["register"]
    assert not host.manager.has_plugin("dist-0:plugins/o0")


def test_an_optional_hook_may_be_unknown():
    class Optional:
        @hookimpl(optionalhook=True)
        def expcore_of_some_later_release(self, experiment):
            pass

    host_of(Optional).start()


def test_an_unknown_argument_is_an_error_with_the_nearest():
    class Wrong:
        @hookimpl
        def expcore_before_train(self, experimant):
            pass

    assert (
        "argument 'experimant' of expcore_before_train() is not the hook's; did you mean 'experiment'?"
        in refused(Wrong)
    )


def test_an_argument_with_a_default_would_never_be_filled_and_is_refused():
    class Trap:
        @hookimpl
        def expcore_before_train(self, experiment=None):
            pass

    assert "has a default" in refused(Trap)


def test_a_default_for_something_else_is_fine():
    class Fine:
        @hookimpl
        def expcore_train_hooks(self, experiment, cache=(1,)):
            return list(cache)

    assert host_of(Fine).ask("expcore_train_hooks", experiment=None) == [("dist-0:plugins/o0", [1])]


def test_an_unmarked_hook_is_an_error():
    class Unmarked:
        def expcore_before_train(self, experiment):
            pass

        @hookimpl
        def expcore_train_hooks(self, experiment):
            pass

    assert "expcore_before_train() is never called without @expcore.hookimpl" in refused(Unmarked)


def test_a_plugin_without_any_hook_is_an_error():
    assert "it has no hook" in refused(types.ModuleType("empty"))


def test_wrappers_and_other_names_are_refused_since_each_plugin_is_called_alone():
    class Wrapper:
        @hookimpl(wrapper=True)
        def expcore_before_train(self, experiment):
            return (yield)

    class Renamed:
        @hookimpl(specname="expcore_before_train")
        def mine(self, experiment):
            pass

    assert "each plugin is called alone" in refused(Wrapper)
    assert "each plugin is called alone" in refused(Renamed)


def test_an_unhashable_plugin_is_refused():
    @dataclasses.dataclass
    class Unhashable:
        @hookimpl
        def expcore_before_train(self, experiment):
            pass

    assert "not hashable" in refused(Unhashable())


def test_a_misspelt_hook_given_to_the_manager_itself_is_found_too():
    class Misspelt:
        @hookimpl
        def expcore_after_trian(self, experiment):
            pass

    host = host_of()
    host.manager.register(Misspelt())
    with pytest.raises(PluginError, match="expcore_after_trian"):
        host.start()


# --- registering in code ------------------------------------------------------------------------------


def test_register_takes_objects_classes_and_modules_and_gives_the_name():
    host = host_of()
    module = types.ModuleType("some_module")
    module.expcore_train_hooks = hookimpl(lambda experiment: ["module"])
    assert host.register(module, "mod") == "code:plugins/mod"
    name = host.register(observer("expcore_train_hooks", result=["class"]))
    assert name.startswith("code:plugins/")
    assert host.register(observer("expcore_train_hooks", result=["object"])(), "mod") == "code:plugins/mod#2"
    assert [a for _, a in host.ask("expcore_train_hooks", experiment=None)] == [
        ["object"],
        ["class"],
        ["module"],
    ]


def test_registering_one_object_twice_is_refused():
    host, plugin = host_of(), observer()()
    host.register(plugin)
    with pytest.raises(PluginError, match="registered already"):
        host.register(plugin)


def test_register_checks_the_contract():
    with pytest.raises(PluginError, match="has no hook"):
        host_of().register(object())


# --- components worked out at run time ----------------------------------------------------------------


def provider(answer, hook="expcore_exporters"):
    class Provider:
        pass

    def give(self):
        if isinstance(answer, Exception):
            raise answer
        return answer

    give.__qualname__ = f"Provider.{hook}"
    setattr(Provider, hook, hookimpl(give))
    return Provider


def test_a_mapping_becomes_components_with_the_plugins_distribution():
    host = host_of(provider({"dynamic": dict}))
    component = host.resolve("exporters", "dynamic")
    assert (component.dist, component.version, component.target) == ("dist-0", "0.0", "dict")
    assert host.create("exporters", "dynamic", a=1) == {"a": 1}


def test_components_are_taken_with_the_true_distribution_whatever_they_say():
    said = Component("exporters", "dynamic", lambda: dict, dist="expcore", version="9", target="x:y")
    component = host_of(provider([said])).resolve("exporters", "dynamic")
    assert (component.dist, component.version, component.target) == ("dist-0", "0.0", "x:y")
    assert component.load() is dict


def test_they_are_in_the_catalogue_only_after_the_start():
    host = host_of(provider({"dynamic": dict}))
    assert host.catalogue("exporters") == []
    host.start()
    assert [c.name for c in host.catalogue("exporters")] == ["dynamic"]


def test_a_name_means_the_same_before_and_after_the_start():
    box = PluginSandbox().add("plugins", "p", provider({"best": list}), dist="a")
    host = box.add("exporters", "best", dict, dist="expcore").host
    assert host.load("exporters", "best") is dict
    host.start()
    assert host.load("exporters", "best") is dict
    assert host.load("exporters", "a:best") is list


def test_a_qualified_name_starts_the_host_too():
    box = PluginSandbox().add("plugins", "p", provider({"best": list}), dist="a")
    assert box.add("exporters", "best", dict, dist="expcore").host.load("exporters", "a:best") is list


def test_two_plugins_that_work_out_one_name_are_in_conflict():
    host = host_of(provider({"x": dict}), provider({"x": list}))
    with pytest.raises(LookupError, match="2 plugins provide it"):
        host.resolve("exporters", "x")


def test_they_can_be_switched_off_one_by_one():
    box = PluginSandbox(disable=["exporters/x"]).add("plugins", "p", provider({"x": dict, "y": list}))
    assert box.host.load("exporters", "y") is list
    with pytest.raises(UnknownComponent, match="switched off by 'exporters/x'"):
        box.host.load("exporters", "x")


def test_components_of_a_plugin_registered_in_code_count_at_once():
    box = (
        PluginSandbox()
        .add("exporters", "best", dict, dist="expcore")
        .observe(provider({"best": list}), "mine")
    )
    assert box.host.load("exporters", "best") is list
    assert box.host.resolve("exporters", "best").provider == "code"


def test_what_is_registered_in_code_is_on_whatever_third_parties_are_let_in():
    box = PluginSandbox(allow=[]).observe(provider({"mine": list}), "mine")
    assert box.host.load("exporters", "mine") is list
    assert [r.provider for r in box.host.statuses("exporters")] == ["code"]


@pytest.mark.parametrize("name", ["code", "Code"])
def test_a_distribution_called_code_is_a_third_party_like_any_other(name):
    box = (
        PluginSandbox(allow=[])
        .add("exporters", "x", list, dist=name)
        .add("plugins", "p", observer(), dist=name)
    )
    assert {r.status for r in box.host.statuses()} == {"blocked"}
    with pytest.raises(UnknownComponent, match="not among the third parties"):
        box.host.load("exporters", "x")
    box.host.start()
    assert not box.host.manager.has_plugin("code:plugins/p")


def test_an_observer_of_a_distribution_called_code_and_one_in_code_do_not_get_in_each_others_way():
    box = PluginSandbox().add("plugins", "p", observer(), dist="code").observe(observer(), "p")
    box.host.start()
    assert box.host.failures == []
    assert [r.status for r in box.host.statuses("plugins")] == ["active", "active"]


@pytest.mark.parametrize(
    "answer",
    [RuntimeError("catalogue is out"), 5, ["no component"], [Component("hooks", "h", lambda: dict)]],
    ids=["raises", "no list", "no component", "other kind"],
)
def test_a_catalogue_that_fails_is_one_line_and_hurts_nobody_else(answer, caplog):
    host = host_of(provider(answer), provider({"good": dict}))
    assert host.load("exporters", "good") is dict
    host.start()
    host.register(observer())  # makes the host ask everybody again
    host.catalogue("exporters")
    assert len([m for m in caplog.messages if "plugins/o0 (dist-0 0.0): catalogue failed" in m]) == 1
    assert [f.phase for f in host.failures] == ["catalogue"]


@pytest.mark.parametrize("bad", ["a:b", "", 5, None])
def test_a_name_that_nobody_could_ask_for_is_one_line_and_only_that_name_is_left_out(bad, caplog):
    host = host_of(provider({bad: dict, "good": list}))
    host.start()
    assert [c.name for c in host.catalogue("exporters")] == ["good"]
    host.register(observer())
    assert host.snapshot()["components"].keys() == {"exporters/good"}
    assert [r.name for r in host.statuses("exporters")] == ["good"]
    (line,) = caplog.messages
    assert "plugins/o0 (dist-0 0.0): catalogue failed: InvalidArgument: expcore_exporters() gave" in line
    assert repr(bad) in line
    assert "EXPCORE_DISABLE=dist-0:plugins/o0" in line
    strict = host_of(provider({bad: dict}), strict=True)
    strict.start()
    with pytest.raises(PluginLoadError, match="left out"):
        strict.catalogue("exporters")


def test_a_component_that_cannot_be_had_is_a_load_error():
    def boom():
        raise OSError("gone")

    host = host_of(provider([Component("exporters", "x", boom)]))
    with pytest.raises(PluginLoadError, match=r"exporter 'x' \(dist-0 0.0\): import failed: OSError: gone"):
        host.load("exporters", "x")


# --- tracing ------------------------------------------------------------------------------------------


def test_pluggys_tracing_sees_every_call():
    host = host_of(observer(), observer())
    host.start()
    seen = []
    undo = host.manager.add_hookcall_monitoring(
        lambda name, impls, kwargs: seen.append((name, [i.plugin_name for i in impls])), lambda *a: None
    )
    host.ask("expcore_before_train", experiment=None)
    undo()
    assert seen == [
        ("expcore_before_train", ["dist-1:plugins/o1"]),
        ("expcore_before_train", ["dist-0:plugins/o0"]),
    ]


def test_a_declared_component_is_a_pluggy_plugin_that_answers_its_kind():
    host = PluginSandbox().add("hooks", "h", dict, dist="d").host
    plugin = host.manager.get_plugin("d:hooks/h")
    assert [c.name for c in plugin.expcore_hooks()] == ["h"]
