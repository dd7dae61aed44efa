"""Trouble: an error that whoever catches errors of one usual class catches too."""

from __future__ import annotations


class Trouble(OSError, ValueError, RuntimeError, KeyError, TypeError, ArithmeticError):
    """What data and hooks raise where a component must let errors through, whatever their class.

    It is each of its bases, so that one trial shows ``except OSError`` as well as ``except KeyError``.
    """

    def __str__(self) -> str:
        """The message, without what a base would make of it."""
        bases = ", ".join(base.__name__ for base in type(self).__bases__)
        return f"{self.args[0]} (caught by `except` of each of {bases})"
