"""How the built-in components are tried by the conformance suite, where their defaults do not say it."""
