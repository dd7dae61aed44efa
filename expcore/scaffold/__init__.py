"""Scaffold: writes the distribution of a new plugin, which passes its own tests as it stands."""

from expcore.scaffold.project import KINDS as KINDS
from expcore.scaffold.project import Project as Project
from expcore.scaffold.project import write as write
