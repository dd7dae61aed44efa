"""All clauses of schedules, whichever file they stand in."""

from expcore.conformance.schedules.running import clauses as clauses
