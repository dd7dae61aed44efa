"""The documents: what they name exists, and what exists is in them; conftest.py runs their Python blocks."""

from __future__ import annotations

import importlib.util
import inspect
import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import click
import pytest

from expcore import ExperimentConfig, RunConfig, errors, hookspecs
from expcore.cli import main
from expcore.config.components import Components
from expcore.config.file import read_file
from expcore.host.settings import KEYS
from expcore.testing import PluginSandbox

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PAGES = {
    "estimators": "{name}-estimator.md",
    "schedules": "schedules.md",
    "exporters": "exporters.md",
    "hooks": "hooks.md",
    "predicates": "predicates.md",
}
GIVEN = ("self", "experiment")
"""Parameters that no user gives."""


def short(path):
    return str(path.relative_to(ROOT))


def page(name):
    return (ROOT / "docs" / name).read_text()


def blocks(*languages):
    """(document:line, text) of each fenced block of a language in all documents."""
    fence = re.compile(rf"^```(?:{'|'.join(languages)})\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    found = []
    for path in DOCUMENTS:
        text = path.read_text()
        found += [
            (f"{short(path)}:{text.count(chr(10), 0, m.start()) + 1}", m[1]) for m in fence.finditer(text)
        ]
    assert found, languages
    return found


def section(text, heading):
    """What stands below a heading, down to the next one of its level or above."""
    match = re.search(rf"^(#+) `{heading}`$(.*?)(?=^#{{1,3}} |\Z)", text, re.MULTILINE | re.DOTALL)
    assert match is not None, f"there is no heading `{heading}`"
    return match[2]


def rows(text):
    """The cells of each table row, by the name in backticks in its first one."""
    lines = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("| `")]
    return {cells[0].strip().strip("`"): [cell.strip() for cell in cells] for cells in lines}


# --- plugins --------------------------------------------------------------------------------------------


NO_COMPONENTS = ("pytest11", "expcore.conformance")


def entry_points():
    for group, entries in PROJECT["project"]["entry-points"].items():
        for name, value in entries.items() if group not in NO_COMPONENTS else ():
            yield group.removeprefix("expcore."), name, value


COMPONENTS = [(kind, name) for kind, name, _ in entry_points() if kind != "plugins"]


@pytest.fixture(scope="module")
def builtins():
    return PluginSandbox(builtins=True).host


@pytest.mark.parametrize(("kind", "name"), COMPONENTS)
def test_every_built_in_is_on_its_page_with_each_parameter_and_default(kind, name, builtins):
    signature = inspect.signature(builtins.load(kind, name))
    documented = rows(section(page(PAGES[kind].format(name=name)), name))
    wanted = {}
    for parameter in signature.parameters.values():
        if parameter.name in GIVEN:
            continue
        required = parameter.default is parameter.empty
        wanted[parameter.name] = ("", "required") if required else (repr(parameter.default),)
    assert list(documented) == list(wanted)
    for parameter, defaults in wanted.items():
        assert documented[parameter][1].strip("`") in defaults, parameter


def test_every_observer_is_on_the_page_of_hooks():
    for kind, name, _ in entry_points():
        assert kind != "plugins" or f"`{name}`" in page("hooks.md")


@pytest.mark.parametrize(
    ("cls", "name", "heading"),
    [(ExperimentConfig, "configuration.md", "Fields"), (RunConfig, "keras-estimator.md", "Config")],
)
def test_every_field_of_a_config_is_documented_with_its_default(cls, name, heading):
    text = page(name).partition(f"## {heading}\n")[2].partition("\n## ")[0]
    documented = rows(text)
    parameters = inspect.signature(cls).parameters
    assert list(documented) == [field.name for field in fields(cls)]
    for parameter, cells in documented.items():
        default = parameters[parameter].default
        wanted = "required" if default is inspect.Parameter.empty else f"{default!r}".removesuffix(".0")
        assert cells[1].strip("`") == wanted, parameter


# --- the hook reference ---------------------------------------------------------------------------------


def written_page():
    spec = importlib.util.spec_from_file_location(
        "make_hook_reference", ROOT / "tools/make_hook_reference.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.page()


def test_the_hook_reference_is_current():
    assert page("hook-reference.md") == written_page(), "run: python tools/make_hook_reference.py"


def test_the_hook_reference_has_every_hook_with_its_arguments_and_its_text():
    text = page("hook-reference.md")
    specs = {n: f for n, f in vars(hookspecs).items() if n.startswith("expcore_")}
    assert len(specs) > 15
    headings = re.findall(r"^### `(expcore_\w+\(.*\))`$", text, re.MULTILINE)
    assert sorted(headings) == sorted(
        f"{name}({', '.join(inspect.signature(spec).parameters)})" for name, spec in specs.items()
    )
    for spec in specs.values():
        assert inspect.getdoc(spec).replace("``", "`") in text


# --- the command line -----------------------------------------------------------------------------------


def commands(command=main, words=()):
    yield words, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*words, name))


def help_of(words):
    """What a terminal of 80 columns shows; click keeps two of them free, but not under its CliRunner."""
    context = click.Context(main, info_name="expcore", terminal_width=78, **main.context_settings)
    for word in words:
        inner = context.command.commands[word]
        context = click.Context(inner, info_name=word, parent=context)
    return context.get_help()


@pytest.mark.parametrize("words", [words for words, _ in commands()])
def test_the_help_of_every_command_is_on_the_page(words):
    below = section(page("cli.md"), " ".join(("expcore", *words)))
    assert f"```text\n{help_of(words)}\n```" in below


def test_every_variable_of_the_environment_is_on_the_page_and_no_other():
    code = "\n".join(
        path.read_text() for folder in ("expcore", "plugins") for path in (ROOT / folder).rglob("*.py")
    )
    used = set(re.findall(r"\bEXPCORE_[A-Z_]+\b", code))
    assert len(used) >= 5
    documented = set(rows(page("cli.md").partition("## Environment")[2].partition("\n## ")[0]))
    assert {name for name in documented if name.startswith("EXPCORE_")} == used
    for path in DOCUMENTS:
        assert set(re.findall(r"\bEXPCORE_[A-Z_]+\b", path.read_text())) <= used, short(path)


def test_every_exit_code_and_every_error_is_in_the_table_of_its_code():
    table = page("cli.md").partition("## Exit codes")[2]
    lines = {code: line for line in table.splitlines() if line.startswith("| ") for code in codes_of(line)}
    wanted = {v for name, v in vars(errors).items() if name.startswith("EXIT_")} | {130, 143}
    assert set(lines) == wanted
    for name, error in vars(errors).items():
        if inspect.isclass(error) and issubclass(error, errors.ExpcoreError):
            assert f"`{name}`" in lines[error.exit_code]
    assert "`StoppedBySignal`" in lines[130]


def codes_of(line):
    return [int(code) for code in re.findall(r"\d+", line.split("|")[1])]


def shell_commands():
    for where, text in blocks("console"):
        for line in text.replace("\\\n", " ").splitlines():
            if line.startswith("$ expcore "):
                yield where, shlex.split(line.removeprefix("$ "), comments=True)[1:]


def parsed(words):
    """The parameters as the command line reads them from the words; nothing is run."""
    command, words = main, list(words)
    while isinstance(command, click.Group) and words and words[0] in command.commands:
        command = command.commands[words.pop(0)]
    return command.make_context("expcore", words).params


def test_every_command_in_the_documents_has_options_and_schedules_that_exist():
    found = list(shell_commands())
    assert len(found) > 15
    schedules = {name for kind, name in COMPONENTS if kind == "schedules"}
    for where, words in found:
        try:
            params = parsed(words)
        except (click.ClickException, click.exceptions.Exit) as error:
            pytest.fail(f"{where}: expcore {shlex.join(words)}: {error}")
        if params.get("schedule") != "trian":  # the one that shows an error
            assert params.get("schedule") in {None, *schedules}, where


# --- configurations -------------------------------------------------------------------------------------


KINDS = {"train_hooks": "hooks", "eval_hooks": "hooks", "export_strategies": "exporters"}


def configs():
    for where, text in blocks("yaml", "json"):
        yield pytest.param(text, ".yaml", id=where)
    for where, text in blocks("toml"):
        if "[project" not in text and "[tool.expcore" not in text:
            yield pytest.param(text, ".toml", id=where)


@pytest.mark.parametrize(("text", "suffix"), list(configs()))
def test_every_configuration_in_the_documents_is_one(text, suffix, tmp_path):
    path = tmp_path / f"config{suffix}"
    path.write_text(text)
    config = read_file(path)
    assert set(config) <= {field.name for field in fields(ExperimentConfig)}
    components = Components(PluginSandbox(builtins=True).add("exporters", "npz", type("Npz", (), {})).host)
    for key, kind in KINDS.items():
        for n, value in enumerate(config.get(key, ())):
            components.check(kind, value, f"{key}[{n}]")
    schedule = config.get("schedule")
    if isinstance(schedule, dict):
        function = PluginSandbox(builtins=True).host.load("schedules", schedule["type"])
        assert set(schedule) - {"type"} <= set(inspect.signature(function).parameters)
        for key, value in schedule.items():
            if isinstance(value, dict):
                components.check("predicates", value, f"schedule.{key}")


def test_every_table_of_the_project_file_in_the_documents_is_one():
    found = [text for _, text in blocks("toml") if "[tool.expcore" in text]
    assert found
    for text in found:
        assert PluginSandbox(settings=tomllib.loads(text)["tool"]["expcore"]).host.settings["path"] is None


def test_every_key_of_the_project_file_is_in_the_table_of_keys_and_no_other():
    assert tuple(rows(page("plugins.md").partition("## pyproject.toml")[2])) == KEYS


def test_every_other_toml_block_is_well_formed():
    for where, text in blocks("toml"):
        assert tomllib.loads(text), where


def test_the_configuration_of_the_digits_is_the_one_in_the_documents():
    assert f"```yaml\n{(ROOT / 'examples/digits/experiment.yaml').read_text()}```" in page("configuration.md")


# --- the blocks that conftest.py runs -------------------------------------------------------------------


def test_the_blocks_of_documents_that_import_tensorflow_have_its_mark_and_no_others():
    options = ["--collect-only", "-q", "-m", "tf", "README.md", "docs"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    marked = {line.partition("::")[0] for line in done.stdout.splitlines() if "::" in line}
    assert marked == {
        "README.md",
        "docs/clusters.md",
        "docs/exporters.md",
        "docs/keras-estimator.md",
        "docs/module-estimator.md",
        "docs/start.md",
    }


# --- links ----------------------------------------------------------------------------------------------


def anchors(text):
    """The anchors that GitHub gives the headings of a page."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=short)
def test_every_link_leads_to_a_file_and_a_heading_that_exist(path):
    text = re.sub(r"^```.*?^```$|`[^`\n]*`", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text()), link


def test_every_page_can_be_reached_from_the_readme():
    seen, todo = set(), [ROOT / "README.md"]
    while todo:
        path = todo.pop()
        if path in seen or path.suffix != ".md" or not path.exists():
            continue
        seen.add(path)
        todo += [
            (path.parent / link.partition("#")[0]).resolve()
            for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text())
            if "://" not in link
        ]
    assert set(DOCUMENTS) <= seen
