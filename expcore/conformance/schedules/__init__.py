"""The clauses of schedules."""

from expcore.conformance.kind import Kind
from expcore.conformance.schedules.case import ScheduleCase
from expcore.conformance.schedules.forms import forms
from expcore.conformance.schedules.stages import clauses

KIND = Kind(
    "schedule",
    ScheduleCase,
    clauses,
    capabilities={"serves": "it is a server of this task's address until training is over"},
    forms=forms,
)
