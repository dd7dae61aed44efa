"""The clauses of exporters: formats, policies, and exporters that publish by themselves."""

from expcore.conformance.exporters import checkpoints as checkpoints
from expcore.conformance.exporters import formats as formats
from expcore.conformance.exporters import places as places
from expcore.conformance.exporters import policies as policies
from expcore.conformance.exporters import publishing as publishing
from expcore.conformance.exporters import shape as shape
from expcore.conformance.exporters.case import ExporterCase, clauses, forms
from expcore.conformance.kind import Kind

KIND = Kind(
    "exporter",
    ExporterCase,
    clauses,
    capabilities={"deterministic": "a format: the same checkpoint gives the same bytes"},
    forms=forms,
)
