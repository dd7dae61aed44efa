"""Selection: which plugins are switched off and which are chosen, by code, environment or project file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from expcore.errors import InvalidArgument, InvalidType, listing, nearest
from expcore.host.discovery import BUILTIN, IN_CODE, OBSERVERS, SHOWN_IN_CODE, Entry, canonical, kind_of

USE, DISABLE, ALLOW, STRICT = "EXPCORE_USE", "EXPCORE_DISABLE", "EXPCORE_ALLOW", "EXPCORE_STRICT_PLUGINS"

_ON = ("1", "true", "yes", "on")
_OFF = ("0", "false", "no", "off", "")


@dataclass(frozen=True)
class Token:
    """``dist``, ``kind/name`` or ``dist:kind/name``; a part that is not given matches anything."""

    text: str
    dist: str | None
    label: str | None

    @classmethod
    def parse(cls, text: str) -> Token:
        """Reads a token; one that means nothing matches nothing."""
        text = text.strip()
        before, slash, _ = text.partition("/")
        # A ':' after the '/' is part of a name that is a fault, and has to be switched off all the same.
        dist, colon, _ = before.partition(":")
        if slash and not colon:
            dist = ""
        label = text[len(dist + colon) :] if colon or slash else ""
        return cls(text, canonical(dist) if dist else None, _plural(label) if label else None)

    def matches(self, entry: Entry) -> bool:
        """Whether the token speaks of this plugin."""
        return self.dist in (None, entry.dist.shown) and self.label in (None, entry.label)


@dataclass(frozen=True)
class Source:
    """What one place says.

    Attributes:
        form: how people write a key there, with "{}" for the key, such as "{} in pyproject.toml"; "" for the
            environment and the command line, which sets it.
        use: chosen distribution by ``kind/name``.
        disable: what it switches off.
        allow: the only third parties that it lets in; None: it says nothing of that.
        strict: whether a broken plugin is an error at once; None: it says nothing of that.
    """

    form: str
    use: Mapping[str, str]
    disable: tuple[Token, ...] = ()
    allow: tuple[Token, ...] | None = None
    strict: bool | None = None

    @classmethod
    def read(
        cls,
        form: str,
        use: Mapping[str, str] | Iterable[str] | None,
        disable: Iterable[str] | None,
        allow: Iterable[str] | None,
        strict: bool | None,
    ) -> Source:
        """Reads what was given; None where nothing was.

        Raises:
            InvalidArgument: a choice is not of the form ``kind/name=dist``, or a list is one string.
            InvalidType: a list or mapping is none, something in it is no string, or ``strict`` is no bool.
        """
        if not isinstance(strict, bool | None):
            raise InvalidType(f"strict={strict!r}: give True, False, or None where nothing is said of it")
        return cls(
            form,
            choices({} if use is None else use),
            tuple(Token.parse(text) for text in _given(() if disable is None else disable, "disable")),
            None if allow is None else tuple(Token.parse(text) for text in _given(allow, "allow")),
            strict,
        )

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Source:
        """Reads the environment; a variable that is not set says nothing.

        Raises:
            InvalidArgument: a choice is not of the form ``kind/name=dist``, or EXPCORE_STRICT_PLUGINS is no
                word for yes or no.
        """
        return cls.read(
            "",
            _split(environ.get(USE, "")),
            _split(environ.get(DISABLE, "")),
            _split(environ[ALLOW]) if ALLOW in environ else None,
            _yes(environ[STRICT]) if STRICT in environ else None,
        )

    def told(self, key: str) -> str:
        """Returns where it says something: a variable, or a key and the place that has it."""
        variables = {"use": USE, "disable": DISABLE, "allow": ALLOW}
        return self.form.replace("{}", key, 1) or variables[key]


@dataclass(frozen=True)
class Choice:
    """The distribution that the user chose for a name, and where that was said."""

    dist: str
    source: str


class Selection:
    """What the user chose and switched off, of all sources together.

    Choices count name by name: the strongest source that chooses one. What any source switches off is off.
    ``allow`` and ``strict`` are those of the strongest source that says something of them.

    Args:
        stated: what code and environment say, the strongest first.
        project: gives what the project file says, the weakest; called at first need.
    """

    def __init__(self, stated: Sequence[Source], project: Callable[[], Source]) -> None:
        self._stated, self._project = stated, project

    @cached_property
    def sources(self) -> tuple[Source, ...]:
        """Everything that says something, the strongest first.

        Raises:
            ConfigError: the project file cannot be used.
        """
        return (*self._stated, self._project())

    @cached_property
    def use(self) -> Mapping[str, Choice]:
        """What is chosen, by ``kind/name``."""
        return {
            label: Choice(dist, source.told("use") if source.form else f"--use or {USE}")
            for source in reversed(self.sources)
            for label, dist in source.use.items()
        }

    @cached_property
    def strict(self) -> bool:
        """Whether a broken plugin is an error at once."""
        return next((source.strict for source in self.sources if source.strict is not None), False)

    @cached_property
    def _gate(self) -> Source | None:
        return next((source for source in self.sources if source.allow is not None), None)

    def blocked(self, entry: Entry) -> str | None:
        """Returns why a plugin is switched off, or None."""
        for source in self.sources:
            for token in source.disable:
                if token.matches(entry):
                    by = source.told("disable") + ("" if source.form else f" or -p no:{token.text}")
                    return f"switched off by {token.text!r} ({by})"
        gate = self._gate
        if gate is None or entry.builtin or entry.dist.name == IN_CODE:
            return None
        if any(token.matches(entry) for token in gate.allow or ()):
            return None
        by = gate.told("allow") + ("" if gate.form else " (or --no-plugins)")
        return f"not among the third parties that {by} lets in"

    def unknown(self, entries: Sequence[Entry]) -> list[str]:
        """Returns one sentence for each token and choice that speaks of no installed plugin."""
        told = [sentence for source in self.sources for sentence in self._unknown_tokens(source, entries)]
        return told + [sentence for source in self.sources for sentence in _unknown_choices(source, entries)]

    def _unknown_tokens(self, source: Source, entries: Sequence[Entry]) -> Iterator[str]:
        words = {w for e in entries for w in (e.dist.shown, e.label, e.key)}
        allowed = source.allow or () if source is self._gate else ()
        for key, tokens in (("disable", source.disable), ("allow", allowed)):
            for token in tokens:
                if not any(token.matches(entry) for entry in entries):
                    near = nearest(token.text, words)
                    yield f"{source.told(key)}: {token.text!r} matches no installed plugin{near}"


def _unknown_choices(source: Source, entries: Sequence[Entry]) -> Iterator[str]:
    labels, by = {entry.label for entry in entries}, source.told("use")
    # What an observer works out, or what is registered in code, is not known before it is there.
    open_ = {e.dist.name for e in entries if e.kind == OBSERVERS} - {BUILTIN} | {SHOWN_IN_CODE}
    for label, dist in source.use.items():
        providers = sorted({e.dist.name for e in entries if e.label == label})
        if label not in labels:
            yield f"{by}: {label!r} is no installed component{nearest(label, labels)}"
        elif dist not in {*providers, *open_}:
            yield (
                f"{by}: {label}={dist}: {dist!r} does not provide it{nearest(dist, providers)}; "
                f"it is provided by {listing(providers)}"
            )


def choices(use: Mapping[str, str] | Iterable[str]) -> dict[str, str]:
    """Reads choices, ``{kind/name: dist}`` or ``kind/name=dist``; of one name the last counts.

    Raises:
        InvalidArgument: one is not of that form.
        InvalidType: it is neither a mapping nor a list, or something in it is no string.
    """
    if isinstance(use, Mapping):
        _given([word for pair in use.items() for word in pair], "use")
        return {_chosen(label): canonical(dist) for label, dist in use.items()}
    chosen = {}
    for text in _given(use, "use"):
        label, equals, dist = (part.strip() for part in text.partition("="))
        if not (equals and dist):
            raise InvalidArgument(
                f"choice {text!r}: it is not of the form kind/name=distribution; "
                "write for example exporters/best=expcore"
            )
        chosen[_chosen(label)] = canonical(dist)
    return chosen


def _split(text: str) -> list[str]:
    return [word for word in (part.strip() for part in text.split(",")) if word]


def _yes(text: str) -> bool:
    word = text.strip().lower()
    if word not in _ON + _OFF:
        raise InvalidArgument(
            f"{STRICT}={text!r}: it is neither yes ({', '.join(_ON)}) nor no "
            f"({', '.join(filter(None, _OFF))}, or empty); set one of these, or unset it"
        )
    return word in _ON


def _given(words: Iterable[str], argument: str) -> list[str]:
    if isinstance(words, str):
        raise InvalidArgument(f"{argument}={words!r}: give a list of strings, not one string")
    if not isinstance(words, Iterable):
        raise InvalidType(f"{argument}={words!r}: it is no list; give a list of strings")
    words = list(words)
    for word in words:
        if not isinstance(word, str):
            raise InvalidType(f"{argument}={words!r}: {word!r} in it is no string; give strings only")
    return [word for word in words if word.strip()]


def _chosen(label: str) -> str:
    kind, slash, name = label.partition("/")
    if not (slash and name):
        raise InvalidArgument(f"choice {label!r}: it is not of the form kind/name, such as exporters/best")
    return f"{kind_of(kind)}/{name}"


def _plural(label: str) -> str:
    kind, slash, name = label.partition("/")
    try:
        return f"{kind_of(kind, observers=True)}{slash}{name}"
    except InvalidArgument:
        return label
