"""Reports on paper: text, JSON, JUnit, Markdown, and the JSON of a badge."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from xml.etree import ElementTree

from expcore.conformance.report import BLOCKED, FAILED, SKIPPED, XFAIL, Report

SCHEMA = 1
"""Version of the JSON; a change that readers could stumble over makes it 2."""


def text(report: Report, *, verbose: bool = False) -> str:
    """Returns a summary line, every failure, and what is worth knowing; with ``verbose`` every clause."""
    mark = "--    " if report.missing else "ok    " if report.ok else "FAILS "
    lines = [mark + report.summary]
    for result in report.results:
        if result.status == FAILED:
            lines += ["", *(f"  {line}" for line in result.message.splitlines())]
        elif verbose or result.note or result.status in (XFAIL, BLOCKED):
            lines.append(f"  {result.message}")
    if not verbose:
        lines += _skipped(report)
    if report.untried:
        lines.append(f"  {report.untried}")
    return "\n".join(lines)


def _skipped(report: Report) -> list[str]:
    """What was skipped, in one line a reason."""
    reasons: dict[str, list[str]] = {}
    for result in report.results:
        if result.status == SKIPPED and not result.note:
            reason = result.message.partition(": skipped: ")[2].rstrip("]")
            reasons.setdefault(reason, []).append(result.id)
    return [f"  skipped, {reason}: {', '.join(ids)}" for reason, ids in reasons.items()]


def as_json(dist: str, version: str, reports: Sequence[Report]) -> str:
    """Returns everything, for machines."""
    data = {
        "schema": SCHEMA,
        "distribution": dist,
        "version": version,
        "ok": all(report.ok for report in reports),
        "components": [_component(report) for report in reports],
    }
    return json.dumps(data, indent=2)


def _component(report: Report) -> dict[str, Any]:
    return {
        "component": report.component,
        "kind": report.kind,
        "ok": report.ok,
        "ran": report.ran,
        "total": report.total,
        "floor": report.floor,
        "counts": report.counts,
        "results": [asdict(result) for result in report.results],
    }


def junit(reports: Sequence[Report]) -> str:
    """Returns JUnit's XML: one suite a component, one case a clause. A SHOULD that fails is no failure."""
    root = ElementTree.Element("testsuites")
    for report in reports:
        failures = [r for r in report.failures if r.level == "MUST"]
        skipped = sum(r.status in (SKIPPED, BLOCKED, XFAIL) for r in report.results)
        suite = ElementTree.SubElement(root, "testsuite", name=report.component)
        suite.set("tests", str(report.total + 1))
        suite.set("failures", str(len(failures) + report.below_floor))
        suite.set("skipped", str(skipped))
        for result in report.results:
            case = _case(suite, report, f"{result.id} {result.title}", result.seconds)
            if result in failures:
                _child(case, "failure", result.message)
            elif result.status == FAILED:
                _child(case, "system-out", result.message)
            elif result.status in (SKIPPED, BLOCKED, XFAIL):
                _child(case, "skipped", result.message)
        floor = _case(suite, report, "floor", 0.0)
        if report.below_floor:
            _child(floor, "failure", report.untried)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True)


def _case(suite: ElementTree.Element, report: Report, name: str, secs: float) -> ElementTree.Element:
    return ElementTree.SubElement(
        suite, "testcase", classname=report.component, name=name, time=f"{secs:.3f}"
    )


def _child(case: ElementTree.Element, tag: str, message: str) -> None:
    child = ElementTree.SubElement(case, tag, message=message.partition("\n")[0])
    child.text = message


def markdown(reports: Sequence[Report]) -> str:
    """Returns a table of components, and one of the clauses of each."""
    lines = ["| component | clauses | result |", "|---|---|---|"]
    lines += [
        f"| {r.component} | {r.ran} of {r.total} | {'passed' if r.ok else '**failed**'} |" for r in reports
    ]
    for report in reports:
        lines += [
            "",
            f"### {report.component}",
            "",
            "| clause | level | result | promise |",
            "|---|---|---|---|",
        ]
        lines += [
            f"| {r.id} | {r.level} | {'**failed**' if r.status == FAILED else r.status} | {_cell(r.title)} |"
            for r in report.results
        ]
    return "\n".join(lines)


def _cell(words: str) -> str:
    return words.replace("``", "`").replace("|", "\\|")


def badge(reports: Sequence[Report]) -> str:
    """Returns the JSON that shields.io's endpoint badge reads."""
    ran, total = sum(r.ran for r in reports), sum(r.total for r in reports)
    good = all(report.ok for report in reports)
    kinds = sorted({report.kind for report in reports})
    failed = sum(len(report.failures) for report in reports)
    message = f"{', '.join(kinds)} {ran}/{total}" + ("" if good else f", {failed} failed")
    colour = "brightgreen" if good else "red"
    return json.dumps(
        {"schemaVersion": 1, "label": "expcore conformance", "message": message, "color": colour}
    )
