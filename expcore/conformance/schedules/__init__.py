"""The clauses of schedules."""

from expcore.conformance.kind import Kind
from expcore.conformance.schedules import following as following
from expcore.conformance.schedules import recording as recording
from expcore.conformance.schedules import stopping as stopping
from expcore.conformance.schedules.case import ScheduleCase
from expcore.conformance.schedules.forms import forms
from expcore.conformance.schedules.running import clauses

KIND = Kind(
    "schedule",
    ScheduleCase,
    clauses,
    capabilities={"serves": "it is a server of this task's address until training is over"},
    forms=forms,
)
