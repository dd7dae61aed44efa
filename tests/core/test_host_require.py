"""``require`` in ``[tool.expcore]``: distributions without which no run starts."""

from __future__ import annotations

import importlib_metadata
import pytest

from expcore.errors import ConfigError
from expcore.host import PluginHost
from expcore.testing import PluginSandbox, fake_distribution


class Theirs:
    pass


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Writes the pyproject.toml of the working directory."""
    monkeypatch.chdir(tmp_path)

    def write(text):
        (tmp_path / "pyproject.toml").write_text(text)
        return tmp_path / "pyproject.toml"

    return write


@pytest.fixture
def installed(tmp_path, monkeypatch):
    site = tmp_path / "site"
    fake_distribution(site, "Expcore_MyExporter", "0.2", {"expcore.exporters": {"npz": "json:dumps"}})
    fake_distribution(site, "no-plugin", "3.0rc1", {})
    monkeypatch.syspath_prepend(site)


def test_a_run_does_not_start_without_what_is_required_and_says_how_to_get_it(installed, project):
    path = project(
        "[tool.expcore]\nrequire = ['expcore-myexporter>=0.3', 'nowhere-at-all[x]>1; python_version>\"3\"', "
        "'no-plugin', 'expcore']\n"
    )
    found = PluginHost()
    assert found.resolve("exporters", "npz").version == "0.2"
    for meta in (found.statuses, found.snapshot, lambda: found.explain("exporters", "npz")):
        meta()
    for start in (found.start, found.start, lambda: found.notify("expcore_failed", experiment=0, error=0)):
        with pytest.raises(ConfigError) as caught:
            start()
        assert str(caught.value) == (
            f"{path}, [tool.expcore]: require: expcore-myexporter>=0.3 is required, 0.2 is installed; "
            'nowhere-at-all[x]>1; python_version > "3" is required, it is not installed; '
            "pip install 'expcore-myexporter>=0.3' 'nowhere-at-all[x]>1'"
        )


@pytest.mark.parametrize(
    "requirement",
    [
        "expcore.MyExporter>=0.2,<1",
        "EXPCORE-myexporter",
        "no-plugin>=2",
        "nowhere; python_version < '3'",
        f"packaging=={importlib_metadata.version('packaging')}",
    ],
)
def test_what_is_required_and_there_lets_the_run_start(requirement, installed, project):
    project(f'[tool.expcore]\nrequire = ["{requirement}"]\n')
    PluginHost().start()


def test_a_distribution_without_a_version_fulfils_only_a_bare_requirement(tmp_path, monkeypatch):
    info = fake_distribution(tmp_path, "no-version", "1", {"expcore.hooks": {"h": "json:dumps"}})
    (info / "METADATA").write_text("Name: no-version\n")
    monkeypatch.syspath_prepend(tmp_path)
    PluginHost(environ={}, settings={"require": ["no-version"]}).start()
    with pytest.raises(ConfigError, match=r"settings: require: no-version>0 is required, no version is inst"):
        PluginHost(environ={}, settings={"require": ["no-version>0"]}).start()


def test_in_a_sandbox_what_was_put_in_is_installed():
    def box(requirement):
        found = PluginSandbox(settings={"require": [requirement]}).add(
            "hooks", "h", Theirs, "put-in", version="2"
        )
        return found.host

    box("put-in>=2").start()
    with pytest.raises(ConfigError, match="put-in>2 is required, 2 is installed; pip install 'put-in>2'"):
        box("put-in>2").start()
