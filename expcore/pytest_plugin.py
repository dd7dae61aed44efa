"""The door without code: ``pytest --expcore-conformance=DIST`` has one test a clause and component."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from expcore.conformance.suite import Suite

OPTION = "--expcore-conformance"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the option; nothing else of expcore is imported unless it is given."""
    parser.getgroup("expcore").addoption(
        OPTION,
        action="append",
        default=[],
        metavar="DIST",
        help="Try every plugin of this installed distribution on expcore's conformance clauses.",
    )


@pytest.hookimpl(tryfirst=True)  # so that -k and -m select among these too
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Adds a test for each clause of each component."""
    for dist in config.getoption(OPTION):
        items += _items(session, dist)


def _items(session: pytest.Session, dist: str) -> Iterator[pytest.Item]:
    from expcore.conformance.installed import suites
    from expcore.errors import ExpcoreError

    try:
        found = suites(dist)
    except ExpcoreError as error:
        raise pytest.UsageError(f"{OPTION}={dist}: {error}") from error
    for suite in found:
        label = suite.label.partition(" ")[0]
        parent = _Component.from_parent(session, name=label, nodeid=f"{dist}::{label}")
        for clause in suite.clauses:
            yield _ClauseItem.from_parent(parent, name=clause.id, suite=suite)
        yield _FloorItem.from_parent(parent, name="floor", suite=suite)


class _Component(pytest.Collector):
    """A component; its tests are made from outside."""

    def collect(self) -> list[pytest.Item]:
        return []


class _Tried(pytest.Item):
    def __init__(self, *, suite: Suite, **given: Any) -> None:
        super().__init__(**given)
        self.suite = suite

    def reportinfo(self) -> tuple[Any, None, str]:
        return self.path, None, f"{self.suite.label} {self.name}"


class _ClauseItem(_Tried):
    def runtest(self) -> None:
        from expcore.conformance.decorator import tell_pytest

        tell_pytest(self.suite, self.name)


class _FloorItem(_Tried):
    def runtest(self) -> None:
        from expcore.conformance.decorator import tell_floor

        tell_floor(self.suite)
