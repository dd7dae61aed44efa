"""``[tool.expcore]`` of pyproject.toml: finding it, checking it, its rank beside code and environment."""

from __future__ import annotations

import json

import pytest

from expcore.errors import ConfigError, PluginLoadError, UnknownComponent
from expcore.host import PluginHost
from expcore.host.settings import read_settings
from expcore.testing import PluginSandbox, fake_distribution


class BuiltIn:
    pass


class Theirs:
    pass


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Writes a pyproject.toml and works below it, three sources apart from nothing."""
    below = tmp_path / "src" / "deep"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    for name in ("USE", "DISABLE", "ALLOW", "STRICT_PLUGINS"):
        monkeypatch.delenv(f"EXPCORE_{name}", raising=False)

    def write(text, folder=tmp_path):
        (folder / "pyproject.toml").write_text(text)
        return folder / "pyproject.toml"

    return write


def host(**options):
    """A host of the real environment and project, with best and latest of expcore, dist-a, dist-b."""
    box = PluginSandbox()
    box.host = PluginHost(entry_points=[], **options)
    for dist in ("expcore", "dist-a", "dist-b"):
        box.add("exporters", "best", Theirs, dist=dist).add("exporters", "latest", Theirs, dist=dist)
    return box.host


def chosen(found, name="best"):
    return found.resolve("exporters", name).dist


# --- finding --------------------------------------------------------------------------------------------


def test_the_nearest_file_with_the_table_counts_from_the_working_directory_upwards(project, tmp_path):
    path = project("[tool.expcore]\ndisable = ['dist-a']\n")
    project("[project]\nname = 'x'\n[tool.other]\n", tmp_path / "src")
    assert read_settings(tmp_path / "src" / "deep") == (path, {"disable": ["dist-a"]})
    assert chosen(host(disable=["expcore"])) == "dist-b"
    nearer = project("[tool.expcore]\ndisable = ['dist-b']\n", tmp_path / "src")
    assert read_settings(tmp_path / "src" / "deep") == (nearer, {"disable": ["dist-b"]})
    assert chosen(host()) == "dist-a"


def test_a_relative_start_is_looked_up_from_the_working_directory(project):
    path = project("[tool.expcore]\n")
    assert read_settings(type(path)(".")) == (path, {})


def test_without_a_file_there_are_no_settings(project):
    assert host().settings is None
    assert host().snapshot()["settings"] is None


def test_the_file_is_that_of_the_folder_in_which_the_host_was_made_and_read_at_first_need(
    project, tmp_path, monkeypatch
):
    found = PluginHost(entry_points=[])
    path = project("[tool.expcore]\nstrict = false\n")
    monkeypatch.chdir("/")
    assert found.settings == {"path": str(path), "content": {"strict": False}}


def test_a_host_in_a_folder_that_was_removed_has_no_settings(project, tmp_path):
    (tmp_path / "src" / "deep").rmdir()
    assert PluginHost(entry_points=[]).settings is None


def test_a_host_with_its_own_environment_and_a_sandbox_read_no_file(project):
    project("[tool.expcore]\nnonsense = 1\n")
    assert PluginHost(environ={}).settings is None
    assert PluginHost(environ={}).snapshot()["settings"] is None
    assert PluginSandbox().host.snapshot()["settings"] is None


def test_settings_given_in_code_take_the_place_of_the_file(project):
    project("[tool.expcore]\nnonsense = 1\n")
    for found in (host(settings={"disable": ["dist-a"]}), PluginHost(environ={}, settings={"strict": True})):
        assert found.settings["path"] is None
    assert chosen(host(settings={"disable": ["dist-a"]})) == "dist-b"
    box = PluginSandbox(settings={"use": {"exporters/best": "b"}}).add("exporters", "best", Theirs, dist="a")
    assert box.add("exporters", "best", BuiltIn, dist="b").host.load("exporters", "best") is BuiltIn
    with pytest.raises(UnknownComponent, match=r"switched off by 'a' \(disable in settings given in code\)"):
        PluginSandbox(settings={"disable": ["a"]}).add("hooks", "h", Theirs, dist="a").host.resolve(
            "hooks", "h"
        )


def test_the_conformance_table_is_left_alone(project):
    project("[tool.expcore.conformance]\nanything = 1\n")
    assert host().settings["content"] == {}


def test_the_snapshot_has_path_and_content_as_json(project):
    path = project("[tool.expcore]\ndisable = ['dist-a']\nuse = {'exporter/best' = 'Dist_B'}\n")
    shot = json.loads(json.dumps(host().snapshot()))
    content = {"disable": ["dist-a"], "use": {"exporter/best": "Dist_B"}}
    assert shot["settings"] == {"path": str(path), "content": content}


def test_settings_are_read_without_importing_what_they_name(project, tmp_path, monkeypatch):
    project("[tool.expcore]\nuse = ['hooks/h=named']\nallow = ['named']\nrequire = ['named']\n")
    site = tmp_path / "site"
    source = {"named_settings_mod": "raise RuntimeError('was imported')\n"}
    fake_distribution(site, "named", "1", {"expcore.hooks": {"h": "named_settings_mod:H"}}, source)
    monkeypatch.syspath_prepend(site)
    found = PluginHost()
    assert found.resolve("hooks", "h").dist == "named"
    found.start()


# --- what is wrong --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("use = 1", "use: 1 is neither a table nor a list; write for example"),
        ("use = ['exporters/best']", "use: choice 'exporters/best': it is not of the form kind/name=dist"),
        ("use = ['']", "use: '' is not a word"),
        ("use = {best = 'a'}", "use: choice 'best': it is not of the form kind/name"),
        ("use = {'exportrs/best' = 'a'}", "use: kind 'exportrs': .*; did you mean 'exporters'?"),
        ("use = {'exporters/best' = 1}", "use: 'exporters/best' = 1: a choice is a distribution's name"),
        ("use.exporters.best = 'a'", "use: 'exporters' = {'best': 'a'}: a choice is a distribution's name"),
        ("disable = 'a'", "disable: 'a' is no list"),
        ("disable = [1]", "disable: 1 is not a word"),
        ("allow = {}", "allow: {} is no list"),
        ("allow = [' ']", "allow: ' ' is not a word"),
        ("strict = 'yes'", "strict: 'yes' is not true or false"),
        ("require = 'a'", "require: 'a' is no list"),
        ("require = ['a b']", "require: 'a b' is no requirement .*; write for example 'expcore-myex"),
        ("disabel = []", "'disabel': there is no such key; did you mean 'disable'?; there are 'use', "),
    ],
)
def test_a_wrong_key_or_value_is_an_error_with_path_key_and_rule(text, told, project):
    path = project(f"[tool.expcore]\n{text}\n")
    with pytest.raises(ConfigError) as caught:
        read_settings(path.parent)
    before, _, after = told.partition(".*")
    assert str(caught.value).startswith(f"{path}, [tool.expcore]: {before}")
    assert after in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError):
        PluginHost(entry_points=[]).statuses()


def test_a_table_that_is_none_is_an_error(project):
    path = project("[tool]\nexpcore = 1\n")
    with pytest.raises(ConfigError, match=r"\[tool.expcore\]: 1 is no table"):
        read_settings(path.parent)


@pytest.mark.parametrize("content", [b"[tool", b"\xff", b"a = " + b"[" * 5000])
def test_a_file_that_is_no_toml_is_one_error_of_one_line_at_each_use(content, project):
    path = project("")
    path.write_bytes(content)
    found = PluginHost(entry_points=[])
    for use in (found.snapshot, found.statuses, lambda: found.catalogue("hooks"), found.start) * 2:
        with pytest.raises(ConfigError) as caught:
            use()
        assert str(caught.value).startswith(f"{path}: it is no TOML (")
        assert str(caught.value).endswith("; correct it, or work in another folder")
        assert "\n" not in str(caught.value)


def test_a_file_of_others_with_strange_tables_is_passed_over(project, tmp_path):
    path = project("[tool.expcore]\n")
    project("tool = 3\n", tmp_path / "src")
    (tmp_path / "src" / "deep" / "pyproject.toml").mkdir()
    assert read_settings(tmp_path / "src" / "deep") == (path, {})


def test_a_file_that_may_not_be_read_is_an_error(project, monkeypatch):
    def refused(path):
        raise PermissionError(13, "Permission denied")

    path = project("[tool.expcore]\n")
    monkeypatch.setattr(type(path), "read_bytes", refused)
    with pytest.raises(ConfigError, match=r"it cannot be read \(Permission denied\)"):
        read_settings(path.parent)


# --- precedence -----------------------------------------------------------------------------------------

SAYS = {
    "code": lambda dist: {"use": [f"exporters/best={dist}"]},
    "environment": lambda dist: {"EXPCORE_USE": f"exporters/best={dist}"},
    "project": lambda dist: f"use = ['exporters/best={dist}']",
}


@pytest.mark.parametrize(
    ("strong", "weak"), [("code", "environment"), ("code", "project"), ("environment", "project")]
)
def test_a_choice_counts_in_the_order_code_environment_project(strong, weak, project, monkeypatch):
    options = {}
    for source, dist in ((strong, "dist-a"), (weak, "dist-b")):
        said = SAYS[source](dist)
        if source == "code":
            options = said
        elif source == "environment":
            monkeypatch.setenv(*next(iter(said.items())))
        else:
            project(f"[tool.expcore]\n{said}\n")
    assert chosen(host(**options)) == "dist-a"


def test_choices_count_name_by_name(project, monkeypatch):
    project("[tool.expcore.use]\n'exporters/best' = 'dist-a'\n'exporters/latest' = 'dist-a'\n")
    monkeypatch.setenv("EXPCORE_USE", "exporters/best=dist-b")
    assert (chosen(host()), chosen(host(), "latest")) == ("dist-b", "dist-a")
    assert chosen(host(use={"exporter/latest": "expcore"}), "latest") == "expcore"
    assert chosen(host(use={"exporter/latest": "expcore"})) == "dist-b"


@pytest.mark.parametrize("use", ["use = ['exporter/best=Dist_A']", "use = {'exporter/best' = 'dist.a'}"])
def test_a_choice_is_written_as_a_table_or_as_a_list(use, project):
    project(f"[tool.expcore]\n{use}\n")
    assert chosen(host()) == "dist-a"


def test_what_any_source_switches_off_is_off(project, monkeypatch):
    project("[tool.expcore]\ndisable = ['dist-a:exporters/best']\n")
    monkeypatch.setenv("EXPCORE_DISABLE", "dist-b")
    assert chosen(host()) == "expcore"
    assert chosen(host(disable=[]), "latest") == "dist-a"
    assert chosen(host(disable=["dist-a"]), "latest") == "expcore"


def test_of_allow_the_strongest_that_says_something_counts(project, monkeypatch):
    project("[tool.expcore]\nallow = []\n")
    assert chosen(host()) == "expcore"
    monkeypatch.setenv("EXPCORE_ALLOW", "dist-a")
    assert chosen(host()) == "dist-a"
    assert chosen(host(allow=["dist-b"])) == "dist-b"
    assert chosen(host(allow=[])) == "expcore"


def strict(**options):
    box = PluginSandbox()
    box.host = PluginHost(entry_points=[], **options)
    try:
        box.add("hooks", "broken", "not callable").host.start()
    except PluginLoadError:
        return True
    return False


def test_of_strict_the_strongest_that_says_something_counts(project, monkeypatch):
    assert not strict()
    project("[tool.expcore]\nstrict = true\n")
    assert strict()
    monkeypatch.setenv("EXPCORE_STRICT_PLUGINS", "0")
    assert not strict()
    assert strict(strict=True)
    monkeypatch.setenv("EXPCORE_STRICT_PLUGINS", "1")
    assert not strict(strict=False)


# --- reasons name the true source -----------------------------------------------------------------------


def said(key, value, source, project, monkeypatch, folder):
    """Makes a host in which one source says one thing."""
    if source == "code":
        return host(**{key: value})
    if source == "environment":
        monkeypatch.setenv(f"EXPCORE_{key.upper()}", ",".join(value))
    else:
        project(f"[tool.expcore]\n{key} = {value!r}\n", folder)
    return host()


@pytest.mark.parametrize(
    ("source", "by"),
    [
        ("code", "PluginHost(disable=...)"),
        ("environment", "EXPCORE_DISABLE or -p no:dist-a"),
        ("project", "disable in pyproject.toml, [tool.expcore]"),
        ("above", "disable in {}, [tool.expcore]"),
    ],
)
def test_what_is_switched_off_names_the_source_and_the_word(source, by, project, monkeypatch, tmp_path):
    folder = tmp_path if source == "above" else tmp_path / "src" / "deep"
    found = said("disable", ["dist-a"], source, project, monkeypatch, folder)
    by = by.format(tmp_path / "pyproject.toml")
    with pytest.raises(UnknownComponent) as caught:
        found.resolve("exporters", "dist-a:best")
    assert str(caught.value) == f"exporter 'best': dist-a 0 is switched off by 'dist-a' ({by})"
    assert [c.blocked for c in found.explain("exporters", "best").candidates if c.dist == "dist-a"] == [
        f"switched off by 'dist-a' ({by})"
    ]


@pytest.mark.parametrize(
    ("source", "by"),
    [
        ("code", "PluginHost(allow=...)"),
        ("environment", "EXPCORE_ALLOW (or --no-plugins)"),
        ("project", "allow in pyproject.toml, [tool.expcore]"),
    ],
)
def test_what_is_not_let_in_names_the_source(source, by, project, monkeypatch, tmp_path):
    found = said("allow", ["dist-b"], source, project, monkeypatch, tmp_path / "src" / "deep")
    with pytest.raises(UnknownComponent) as caught:
        found.resolve("exporters", "dist-a:best")
    assert str(caught.value).endswith(f"dist-a 0 is not among the third parties that {by} lets in")


@pytest.mark.parametrize(
    ("source", "by"),
    [
        ("code", "PluginHost(use=...)"),
        ("environment", "--use or EXPCORE_USE"),
        ("project", "use in pyproject.toml, [tool.expcore]"),
    ],
)
def test_a_choice_names_its_source_when_explained_and_when_it_fails(
    source, by, project, monkeypatch, tmp_path
):
    choices = ["exporters/best=dist-a", "exporters/latest=nobody"]
    found = said("use", choices, source, project, monkeypatch, tmp_path / "src" / "deep")
    explained = found.explain("exporters", "best")
    assert (explained.rule, explained.choice.dist, explained.choice.source) == ("choice", "dist-a", by)
    assert found.explain("exporters", "expcore:best").choice is None
    with pytest.raises(UnknownComponent, match="asks for it, change or drop it") as caught:
        found.resolve("exporters", "latest")
    assert f"the choice exporters/latest=nobody ({by}) asks" in str(caught.value)


@pytest.mark.parametrize(
    ("table", "line"),
    [
        (
            "disable = ['expcor']",
            "disable in {}: 'expcor' matches no installed plugin; did you mean 'expcore'?",
        ),
        ("allow = ['nobody']", "allow in {}: 'nobody' matches no installed plugin"),
        ("use = ['exporters/bets=x']", "use in {}: 'exporters/bets' is no installed component; did you mean"),
        ("use = ['exporters/best=x']", "use in {}: exporters/best=x: 'x' does not provide it"),
    ],
)
def test_a_word_that_matches_nothing_is_told_with_its_source(table, line, project, tmp_path, caplog):
    project(f"[tool.expcore]\n{table}\n", tmp_path / "src" / "deep")
    PluginHost().catalogue("hooks")
    (told,) = caplog.messages
    assert told.startswith(line.format("pyproject.toml, [tool.expcore]"))
