"""Conformance: proves, clause by clause, that a component keeps the promises of its kind."""

from expcore.conformance.case import Case as Case
from expcore.conformance.case import Sample as Sample
from expcore.conformance.check import check as check
from expcore.conformance.clause import Clause as Clause
from expcore.conformance.decorator import conformance as conformance
from expcore.conformance.kind import KINDS as KINDS
from expcore.conformance.kind import Kind as Kind
from expcore.conformance.kind import load_kind as load_kind
from expcore.conformance.report import ConformanceError as ConformanceError
from expcore.conformance.report import Report as Report
from expcore.conformance.report import Result as Result
