"""Three processes, whose shares of 16 rows are not the same, train as one does."""

from __future__ import annotations

import os

import pytest

pytestmark = [pytest.mark.tf, pytest.mark.timeout(600)]

NAMES = [
    "clipnorm",
    "fewer rows than processes",
    "numbers made of sums and means",
]
if os.environ.get("EXPCORE_LONG"):
    NAMES += ["a last batch that is short", "weights, their mean", "masks and batch normalisation"]


@pytest.fixture(scope="module")
def alone(harness, tmp_path_factory):
    return harness.run_cases(tmp_path_factory.mktemp("alone"), None, NAMES)["alone-0"]


@pytest.fixture(scope="module")
def three(harness, tmp_path_factory):
    return harness.run_cases(tmp_path_factory.mktemp("three"), 2, NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_three_processes_train_as_one_does(alone, three, check_like, name):
    check_like(alone[name], three["chief-0"][name])
