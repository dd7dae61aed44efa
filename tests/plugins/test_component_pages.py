"""The pages of hooks and predicates: every component has its section, and says its parameters truly."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
import yaml

from expcore.config.components import Components
from expcore.testing import PluginSandbox

DOCS = Path(__file__).parents[2] / "docs"
HOST = PluginSandbox(builtins=True).host
BUILT_INS = [(kind, c.name) for kind in ("hooks", "predicates") for c in HOST.catalogue(kind)]


def section(kind, name):
    text = (DOCS / f"{kind}.md").read_text()
    found = re.search(rf"^## `{name}`\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"docs/{kind}.md has no section `{name}`"
    return found[1]


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_there_are_built_ins_to_look_at():
    assert len(BUILT_INS) == 17


@pytest.mark.parametrize(("kind", "name"), BUILT_INS)
def test_the_table_has_exactly_the_parameters_and_their_defaults(kind, name):
    rows = re.findall(r"^\| `(\w+)` \| (?:`(.*?)`)? ?\|", section(kind, name), re.MULTILINE)
    parameters = inspect.signature(HOST.load(kind, name)).parameters.values()
    defaults = ["" if p.default is p.empty else repr(p.default) for p in parameters]
    assert rows == list(zip([p.name for p in parameters], defaults, strict=True))


@pytest.mark.parametrize(("kind", "name"), BUILT_INS)
def test_there_is_an_example_in_python_and_one_in_yaml_that_can_be_made(kind, name):
    text = section(kind, name)
    assert len(blocks(text, "python")) == 1
    (config,) = map(yaml.safe_load, blocks(text, "yaml"))
    if kind == "hooks":
        (described,) = config["train_hooks"]
    else:
        described = config["schedule"]["continuous_eval_predicate_fn"]
    assert described["type"] == name
    made = Components(HOST).check(kind, described, "config")()
    assert isinstance(made, HOST.load(kind, name))
