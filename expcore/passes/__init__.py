"""The passes that every schedule is written in, and what they need: journal, heartbeat, claims, lock."""

from expcore.passes.passes import Passes as Passes
