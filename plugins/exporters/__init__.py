"""Exporters: formats, which write an artefact, and policies, which say when."""
