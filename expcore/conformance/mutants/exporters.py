"""The proof of the clauses of exporters: what keeps every promise, and what breaks one each."""

from expcore.conformance.case import Sample
from expcore.conformance.mutants import exporters_formats, exporters_policies, exporters_publishing
from expcore.conformance.mutants.exporters_formats import Json
from expcore.conformance.mutants.exporters_policies import Lowest, Once
from expcore.conformance.mutants.exporters_publishing import FUNCTION, Careful
from expcore.conformance.mutants.mutant import Proof

PROOF = Proof(
    references={
        "format": Sample(factory=Json),
        "exporter": Sample(Careful()),
        "function": Sample(FUNCTION),
        "policy": Sample(factory=Once),
        "another policy": Sample(factory=Lowest),
        "policy object": Sample(Once(Json())),
    },
    mutants=(*exporters_formats.MUTANTS, *exporters_publishing.MUTANTS, *exporters_policies.MUTANTS),
)
