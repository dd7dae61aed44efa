"""The list of the clauses of estimators; the modules beside this one fill it."""

from __future__ import annotations

from expcore.conformance.clause import Clauses

PAGE = "writing-a-plugin.md#what-an-estimator-promises"

clauses = Clauses("EST", page=PAGE)
