"""The proof of the suite: a reference of each kind that keeps every promise, and a mutant for each clause."""

from expcore.conformance.mutants.mutant import Mutant as Mutant
from expcore.conformance.mutants.mutant import Proof as Proof
from expcore.conformance.mutants.mutant import load_proof as load_proof
