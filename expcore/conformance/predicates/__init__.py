"""The clauses of predicates."""

from expcore.conformance.kind import Kind
from expcore.conformance.predicates.case import PredicateCase
from expcore.conformance.predicates.clauses import clauses

KIND = Kind("predicate", PredicateCase, clauses)
