"""Findings of ``plugins check``: what can be found, under which id, and how grave it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ERROR, WARNING, NOTE = "error", "warning", "note"
LEVELS = (ERROR, WARNING, NOTE)


@dataclass(frozen=True)
class Rule:
    """One thing that is looked for.

    Attributes:
        level: "error" (it cannot work), "warning" (it hurts somebody) or "note" (worth knowing).
        title: what is wrong, in a few words.
        mend: how to mend it.
    """

    level: str
    title: str
    mend: str


RULES: Mapping[str, Rule] = {
    # What the entry names.
    "LNT-001": Rule(
        ERROR, "the declaration cannot be read", 'write name = "module:attribute" in the table of its kind'
    ),
    "LNT-002": Rule(ERROR, "the module does not exist", "correct the entry, or ship the module"),
    "LNT-003": Rule(ERROR, "the module's source is not Python", "correct the line"),
    "LNT-004": Rule(ERROR, "the module has no such attribute", "correct the entry, or define the attribute"),
    "LNT-005": Rule(ERROR, "a name is declared more than once", "keep one of the declarations"),
    "LNT-006": Rule(
        ERROR,
        "the entry names a constant",
        "name a function or a class; for an observer a module, a class or an object",
    ),
    "LNT-007": Rule(
        ERROR, "there is no such group of entry points", "correct the group's name, or begin it otherwise"
    ),
    "LNT-008": Rule(
        ERROR, "entry_points.txt cannot be read", "write it as UTF-8: [group], then name = module:attribute"
    ),
    # What an import costs.
    "LNT-010": Rule(
        WARNING, "a heavy library is imported with the module", "import it inside the functions that need it"
    ),
    # Which versions of expcore it works with.
    "LNT-020": Rule(
        WARNING, "expcore is not among the requirements", "add it to dependencies, with both bounds"
    ),
    "LNT-021": Rule(
        WARNING, "the requirement on expcore has no lower bound", "name the oldest version that you tested"
    ),
    "LNT-022": Rule(
        WARNING,
        "the requirement on expcore has no upper bound",
        "name the first version that you did not test",
    ),
    "LNT-023": Rule(
        ERROR, "this expcore is outside the required versions", "install versions that fit each other"
    ),
    # How it is called.
    "LNT-030": Rule(
        ERROR, "a parameter can only be given by position", "take the '/' away: parameters come by name"
    ),
    "LNT-031": Rule(WARNING, "the factory has *args, which are never given", "name the parameters"),
    "LNT-032": Rule(ERROR, "the schedule takes no experiment", "make experiment its first parameter"),
    "LNT-033": Rule(
        WARNING,
        "the schedule's first parameter is not called experiment",
        "call it experiment, as all others do",
    ),
    "LNT-034": Rule(
        ERROR,
        "the schedule's options can only be given by position",
        "options come by name: take the '/' away",
    ),
    "LNT-035": Rule(ERROR, "it is neither a format nor an exporter", "define write(), or name and export()"),
    "LNT-036": Rule(
        ERROR,
        "write() cannot be called by the host",
        "write(self, estimator, directory, checkpoint_path=None, eval_result=None)",
    ),
    "LNT-037": Rule(
        ERROR,
        "export() cannot be called by the host",
        "export(self, estimator, export_path, checkpoint_path=None, eval_result=None, ...)",
    ),
    "LNT-038": Rule(ERROR, "the exporter has no name", "set self.name, which becomes the directory's name"),
    "LNT-039": Rule(ERROR, "the hook has none of a hook's methods", "define at least one of them"),
    "LNT-040": Rule(
        ERROR, "a method takes another number of arguments", "take the arguments of the protocol"
    ),
    "LNT-041": Rule(WARNING, "a method is called almost as one that expcore calls", "rename it"),
    "LNT-042": Rule(
        ERROR,
        "the predicate cannot be called with a result",
        "take eval_result as the only argument without default",
    ),
    "LNT-043": Rule(ERROR, "the estimator lacks a method", "define it, as expcore.types.Estimator says"),
    "LNT-044": Rule(
        WARNING, "it is never told which checkpoint is exported", "name checkpoint_path, and use it"
    ),
    "LNT-045": Rule(
        ERROR,
        "it is called, but none of it is executed",
        "write a plain function: nothing awaits it, or asks for its next value",
    ),
    "LNT-046": Rule(ERROR, "a method is a constant", "define it as a method"),
    "LNT-047": Rule(
        WARNING, "an option of the schedule has no default", "give it one: by its name alone it cannot be run"
    ),
    # Observers.
    "LNT-050": Rule(ERROR, "there is no hook of this name", "see docs/hook-reference.md for the names"),
    "LNT-051": Rule(ERROR, "an argument is not the hook's", "take only arguments of the hook"),
    "LNT-052": Rule(
        ERROR, "an argument of a hook has a default", "take the default away: pluggy gives nothing else"
    ),
    "LNT-053": Rule(ERROR, "a hook is not marked", "put @hookimpl on it, else it is never called"),
    "LNT-054": Rule(ERROR, "the observer has no hook", "mark functions named as a hook with @hookimpl"),
    "LNT-055": Rule(
        ERROR, "a wrapper or a specname is refused", "give a plain function of the hook's own name"
    ),
    "LNT-056": Rule(ERROR, "the observer's class needs arguments", "give every parameter a default"),
    "LNT-057": Rule(
        ERROR,
        "a hook is called, but none of it is executed",
        "write a plain function: nothing awaits it, or asks for its next value",
    ),
    # Names.
    "LNT-060": Rule(
        NOTE, "the distribution's name does not begin with expcore-", "people search for expcore-..."
    ),
    "LNT-061": Rule(WARNING, "the name is not in snake_case", "use lower case letters, digits and '_'"),
    "LNT-062": Rule(NOTE, "it replaces a built-in", "if that is not meant, choose another name"),
}
"""Everything that is looked for, by an id that never changes its meaning."""


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes:
        id: the rule, such as "LNT-010".
        entry: ``kind/name``; "" for the distribution as a whole.
        where: ``file:line``, or the part of the metadata.
        what: what was seen, in one sentence.
    """

    id: str
    entry: str
    where: str
    what: str

    @property
    def level(self) -> str:
        """How grave it is."""
        return RULES[self.id].level

    @property
    def title(self) -> str:
        """What is wrong, in a few words."""
        return RULES[self.id].title

    @property
    def mend(self) -> str:
        """How to mend it."""
        return RULES[self.id].mend

    def as_json(self) -> dict[str, str]:
        """The finding as JSON data."""
        return {
            "id": self.id,
            "level": self.level,
            "entry": self.entry,
            "where": self.where,
            "title": self.title,
            "what": self.what,
            "mend": self.mend,
        }
