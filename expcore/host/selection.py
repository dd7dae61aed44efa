"""Selection: which plugins are switched off, which are chosen, by arguments or environment variables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from expcore.errors import InvalidArgument, listing, nearest
from expcore.host.discovery import BUILTIN, IN_CODE, OBSERVERS, SHOWN_IN_CODE, Entry, canonical, kind_of

USE, DISABLE, ALLOW, STRICT = "EXPCORE_USE", "EXPCORE_DISABLE", "EXPCORE_ALLOW", "EXPCORE_STRICT_PLUGINS"

_OFF = ("", "0", "false", "no", "off")


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
class Selection:
    """What the user chose and switched off.

    Attributes:
        use: chosen distribution by ``kind/name``.
        disable: what is switched off.
        allow: the only third parties that are on; None: all of them.
        strict: a broken plugin is an error at once.
    """

    use: Mapping[str, str]
    disable: tuple[Token, ...]
    allow: tuple[Token, ...] | None
    strict: bool

    @classmethod
    def read(
        cls,
        use: Mapping[str, str] | Iterable[str] | None,
        disable: Iterable[str] | None,
        allow: Iterable[str] | None,
        strict: bool | None,
        environ: Mapping[str, str],
    ) -> Selection:
        """Reads arguments; the environment counts for those that are None.

        Raises:
            InvalidArgument: a choice is not of the form ``kind/name=dist``.
        """
        if allow is None and ALLOW in environ:
            allow = _split(environ[ALLOW])
        off = disable if disable is not None else _split(environ.get(DISABLE, ""))
        return cls(
            _choices(use if use is not None else _split(environ.get(USE, ""))),
            tuple(Token.parse(text) for text in _given(off, "disable")),
            None if allow is None else tuple(Token.parse(text) for text in _given(allow, "allow")),
            strict if strict is not None else environ.get(STRICT, "").strip().lower() not in _OFF,
        )

    def blocked(self, entry: Entry) -> str | None:
        """Returns why a plugin is switched off, or None."""
        for token in self.disable:
            if token.matches(entry):
                return f"switched off by {token.text!r} ({DISABLE} or -p no:{token.text})"
        if self.allow is None or entry.builtin or entry.dist.name == IN_CODE:
            return None
        if any(token.matches(entry) for token in self.allow):
            return None
        return f"not among the third parties that {ALLOW} (or --no-plugins) lets in"

    def unknown(self, entries: Sequence[Entry]) -> list[str]:
        """Returns one sentence for each token and choice that speaks of no installed plugin."""
        words = {w for e in entries for w in (e.dist.shown, e.label, e.key)}
        told = []
        for name, tokens in ((DISABLE, self.disable), (ALLOW, self.allow or ())):
            told += [
                f"{name}: {token.text!r} matches no installed plugin{nearest(token.text, words)}"
                for token in tokens
                if not any(token.matches(entry) for entry in entries)
            ]
        labels = {entry.label for entry in entries}
        told += [
            f"{USE}: {label!r} is no installed component{nearest(label, labels)}"
            for label in self.use
            if label not in labels
        ]
        # What an observer works out, or what is registered in code, is not known before it is there.
        open_ = {e.dist.name for e in entries if e.kind == OBSERVERS} - {BUILTIN} | {SHOWN_IN_CODE}
        for label, dist in self.use.items():
            providers = sorted({e.dist.name for e in entries if e.label == label})
            if providers and dist not in {*providers, *open_}:
                told.append(
                    f"{USE}: {label}={dist}: {dist!r} does not provide it{nearest(dist, providers)}; "
                    f"it is provided by {listing(providers)}"
                )
        return told


def _split(text: str) -> list[str]:
    return [word for word in (part.strip() for part in text.split(",")) if word]


def _given(words: Iterable[str], argument: str) -> list[str]:
    if isinstance(words, str):
        raise InvalidArgument(f"{argument}={words!r}: give a list of strings, not one string")
    return [word for word in words if word.strip()]


def _choices(use: Mapping[str, str] | Iterable[str]) -> dict[str, str]:
    if isinstance(use, Mapping):
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
