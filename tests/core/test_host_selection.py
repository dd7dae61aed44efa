"""Switching plugins off and choosing among them: arguments, environment variables, tokens."""

from __future__ import annotations

import sys

import pytest

from expcore.errors import InvalidArgument, InvalidType, PluginLoadError, UnknownComponent
from expcore.host import PluginHost
from expcore.testing import PluginSandbox, fake_distribution


class One:
    pass


class Two:
    pass


def filled(environ=None, **options):
    """A host with best and final of expcore, best2 and h of dist-a, h2 of dist-b."""
    host = PluginHost(environ=environ or {}, entry_points=[], **options)
    box = PluginSandbox()
    box.host = host
    box.add("exporters", "best", One, dist="expcore").add("exporters", "final", One, dist="expcore")
    box.add("exporters", "best2", Two, dist="dist-a").add("hooks", "h", Two, dist="dist-a")
    box.add("hooks", "h2", Two, dist="dist-b")
    return host


def names(host):
    return sorted(c.name for kind in ("exporters", "hooks") for c in host.catalogue(kind))


ALL = ["best", "best2", "final", "h", "h2"]


def test_without_choices_everything_is_on():
    assert names(filled()) == ALL


@pytest.mark.parametrize(
    ("token", "left"),
    [
        ("dist-a", ["best", "final", "h2"]),
        ("Dist_A", ["best", "final", "h2"]),
        ("hooks/h", ["best", "best2", "final", "h2"]),
        ("hook/h", ["best", "best2", "final", "h2"]),
        ("dist-a:hooks/h", ["best", "best2", "final", "h2"]),
        ("dist.a:hook/h", ["best", "best2", "final", "h2"]),
        ("dist-b:hooks/h", ALL),
        ("exporters/best", ["best2", "final", "h", "h2"]),
        ("expcore", ["best2", "h", "h2"]),
    ],
)
def test_disable_switches_off_by_distribution_by_name_or_by_both(token, left):
    assert names(filled(disable=[token])) == left
    assert names(filled({"EXPCORE_DISABLE": token})) == left


def test_several_tokens_are_separated_by_commas_stripped_and_empties_ignored():
    assert names(filled({"EXPCORE_DISABLE": " dist-a , ,hooks/h2,"})) == ["best", "final"]


@pytest.mark.parametrize(
    ("tokens", "left"),
    [
        ([], ["best", "final"]),
        (["dist-b"], ["best", "final", "h2"]),
        (["hooks/h"], ["best", "final", "h"]),
        (["dist-a:exporter/best2"], ["best", "best2", "final"]),
    ],
)
def test_allow_lets_in_only_the_third_parties_it_names_and_always_the_built_ins(tokens, left):
    assert names(filled(allow=tokens)) == left
    assert names(filled({"EXPCORE_ALLOW": ",".join(tokens)})) == left


def test_disable_beats_allow():
    assert names(filled(allow=["dist-a"], disable=["hooks/h"])) == ["best", "best2", "final"]


def test_the_choice_of_the_environment_counts_and_the_last_of_one_name_wins():
    host = filled({"EXPCORE_USE": "exporters/best=dist-a, exporters/best=expcore"})
    assert host.explain("exporters", "best").rule == "choice"
    assert host.load("exporters", "best") is One


def test_asking_for_what_is_switched_off_says_so_and_by_what():
    with pytest.raises(
        UnknownComponent, match=r"exporter 'best': expcore 0 is switched off by 'exporters/best'"
    ):
        filled(disable=["exporters/best"]).resolve("exporters", "best")
    with pytest.raises(UnknownComponent, match="switched off by 'dist-a'"):
        filled(disable=["dist-a"]).resolve("hooks", "dist-a:h")


def test_a_blocked_plugin_is_blocked_by_pluggy_itself():
    host = filled(disable=["dist-a:hooks/h"])
    assert host.manager.is_blocked("dist-a:hooks/h")
    assert not host.manager.has_plugin("dist-a:hooks/h")
    assert host.manager.has_plugin("dist-b:hooks/h2")


def test_a_blocked_plugin_is_never_imported(tmp_path, monkeypatch):
    fake_distribution(
        tmp_path,
        "blocked-dist",
        "1",
        {"expcore.plugins": {"watch": "blocked_watch_mod"}, "expcore.hooks": {"h": "blocked_watch_mod:H"}},
        {"blocked_watch_mod": "raise RuntimeError('was imported')\n"},
    )
    monkeypatch.syspath_prepend(tmp_path)
    host = PluginHost(environ={}, disable=["blocked-dist", "expcore:plugins/default_hooks"])
    host.start()
    assert host.failures == []
    assert "blocked_watch_mod" not in sys.modules
    assert {(r.name, r.status) for r in host.statuses("plugins")} >= {("watch", "blocked")}


def test_a_blocked_replacement_gives_the_built_in_back():
    box = PluginSandbox(disable=["a"]).add("exporters", "best", One, dist="expcore")
    assert box.add("exporters", "best", Two, dist="a").host.load("exporters", "best") is One


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        (
            {"EXPCORE_DISABLE": "hooks/nan_gaurd"},
            "EXPCORE_DISABLE: 'hooks/nan_gaurd' matches no installed plugin; did you mean 'hooks/nan_guard'?",
        ),
        (
            {"EXPCORE_DISABLE": "exportrs/best"},
            "EXPCORE_DISABLE: 'exportrs/best' matches no installed plugin; did you mean 'exporters/best'?",
        ),
        (
            {"EXPCORE_DISABLE": "expcor"},
            "EXPCORE_DISABLE: 'expcor' matches no installed plugin; did you mean 'expcore'?",
        ),
        ({"EXPCORE_ALLOW": "nobody"}, "EXPCORE_ALLOW: 'nobody' matches no installed plugin"),
        (
            {"EXPCORE_USE": "exporters/bets=expcore"},
            "EXPCORE_USE: 'exporters/bets' is no installed component; did you mean 'exporters/best'?",
        ),
    ],
)
def test_a_token_that_matches_nothing_is_a_warning_with_the_nearest_match(caplog, environ, line):
    host = PluginHost(environ=environ)
    host.catalogue("hooks")
    host.catalogue("exporters")
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith(line)


@pytest.mark.parametrize(
    ("dist", "line"),
    [
        (
            "expcor",
            "EXPCORE_USE: exporters/best=expcor: 'expcor' does not provide it; did you mean 'expcore'?; "
            "it is provided by 'expcore'",
        ),
        ("nobody", "EXPCORE_USE: exporters/best=nobody: 'nobody' does not provide it; it is provided by"),
        ("other", "EXPCORE_USE: exporters/best=other: 'other' does not provide it; it is provided by"),
    ],
)
def test_a_choice_of_a_distribution_that_does_not_provide_the_name_is_told_once(
    dist, line, tmp_path, monkeypatch, caplog
):
    fake_distribution(tmp_path, "other", "1", {"expcore.exporters": {"else": "json:dumps"}})
    monkeypatch.syspath_prepend(tmp_path)
    host = PluginHost(environ={"EXPCORE_USE": f"exporters/best={dist}"})
    host.catalogue("hooks")
    host.catalogue("exporters")
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith(line)


@pytest.mark.parametrize("dist", ["expcore", "watcher", "code"])
def test_a_choice_that_an_observer_may_yet_provide_is_no_warning(dist, tmp_path, monkeypatch, caplog):
    fake_distribution(tmp_path, "watcher", "1", {"expcore.plugins": {"w": "json:dumps"}})
    monkeypatch.syspath_prepend(tmp_path)
    PluginHost(environ={"EXPCORE_USE": f"exporters/best={dist}"}).catalogue("exporters")
    assert caplog.messages == []


def test_a_token_that_matches_is_no_warning(caplog):
    PluginHost(environ={}, disable=["expcore:exporters/best"], use=["exporters/best=expcore"]).catalogue(
        "hooks"
    )
    assert caplog.messages == []


@pytest.mark.parametrize(
    "use", ["best=dist", "exporters/best", "exporters/best=", "exporters/=d", "exportrs/b=d"]
)
def test_a_choice_of_another_form_is_refused(use):
    with pytest.raises(InvalidArgument):
        PluginHost(use=[use], environ={})


def test_observers_cannot_be_chosen_since_all_of_them_are_used():
    with pytest.raises(InvalidArgument, match="kind 'plugins'"):
        PluginHost(use=["plugins/a=b"], environ={})


def test_one_string_for_a_list_is_refused():
    for argument in ("use", "disable", "allow"):
        with pytest.raises(InvalidArgument, match=f"{argument}='abc': give a list"):
            PluginHost(**{argument: "abc"}, environ={})


class Broken:
    def __init__(self):
        raise RuntimeError("cannot be made")


@pytest.mark.parametrize("value", ["", " ", "0", "false", "No", "OFF", None])
def test_strict_is_off_for_every_word_that_says_no(value):
    host = with_a_broken_observer({} if value is None else {"EXPCORE_STRICT_PLUGINS": value})
    host.start()
    assert [f.entry for f in host.failures] == ["plugins/broken"]


@pytest.mark.parametrize("value", ["1", "yes", "true"])
def test_strict_makes_a_broken_observer_an_error_at_the_start(value):
    with pytest.raises(PluginLoadError, match="cannot be made"):
        with_a_broken_observer({"EXPCORE_STRICT_PLUGINS": value}).start()


def with_a_broken_observer(environ):
    box = PluginSandbox()
    box.host = PluginHost(environ=environ, entry_points=[])
    return box.add("plugins", "broken", Broken).host


def not_callable_host(**options):
    return (
        PluginSandbox(**options)
        .add("hooks", "own", "not callable", dist="expcore")
        .add("hooks", "broken", "not callable", dist="third", version="2")
        .host
    )


def test_strict_imports_every_component_of_third_parties_at_the_start():
    with pytest.raises(PluginLoadError, match=r"hook 'broken' \(third 2\): import failed"):
        not_callable_host(strict=True).start()
    not_callable_host(strict=True, disable=["third:hooks/broken"]).start()
    not_callable_host().start()


# --- arguments of a wrong type ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"use": 3}, "use=3: it is no list"),
        ({"use": {"exporters/best": 3}}, "use=['exporters/best', 3]: 3 in it is no string"),
        ({"use": {3: "expcore"}}, "3 in it is no string"),
        ({"use": [None]}, "use=[None]: None in it is no string"),
        ({"disable": [3]}, "disable=[3]: 3 in it is no string"),
        ({"disable": 0}, "disable=0: it is no list"),
        ({"allow": [None]}, "allow=[None]: None in it is no string"),
        ({"allow": False}, "allow=False: it is no list"),
        ({"strict": "x"}, "strict='x': give True, False, or None"),
        ({"strict": 1}, "strict=1: give True, False, or None"),
    ],
    ids=repr,
)
def test_choices_of_a_wrong_type_are_said_in_a_sentence(arguments, part):
    with pytest.raises(InvalidType) as caught:
        PluginHost(environ={}, **arguments)
    assert part in str(caught.value)


@pytest.mark.parametrize("kind", [None, 3, ["hooks"]])
def test_a_kind_that_is_no_string_is_said_in_a_sentence(kind):
    host = PluginHost(environ={}, entry_points=[])
    for asked in (host.explain, host.resolve):
        with pytest.raises(InvalidType, match="a kind is named by a string"):
            asked(kind, "best")


@pytest.mark.parametrize(
    ("word", "strict"),
    [(w, True) for w in ("1", "true", "Yes", " on ")]
    + [(w, False) for w in ("0", "False", "no", "off", "", " ")],
)
def test_strict_is_yes_or_no_in_the_usual_words(word, strict, tmp_path, monkeypatch):
    fake_distribution(tmp_path, "ruined", "1", {"expcore.plugins": {"r": "no_such_module_here"}})
    monkeypatch.syspath_prepend(tmp_path)
    host = PluginHost(environ={"EXPCORE_STRICT_PLUGINS": word})
    if not strict:
        host.start()
        return
    with pytest.raises(PluginLoadError):
        host.start()


def test_any_other_word_for_strict_is_refused_with_those_there_are():
    with pytest.raises(InvalidArgument) as caught:
        PluginHost(environ={"EXPCORE_STRICT_PLUGINS": "maybe"})
    assert str(caught.value).startswith(
        "EXPCORE_STRICT_PLUGINS='maybe': it is neither yes (1, true, yes, on) nor"
    )
    assert "no (0, false, no, off, or empty)" in str(caught.value)
