"""Random worlds: what the host answers is what a second, simply written reading of the rules says."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from expcore.errors import ComponentConflict, UnknownComponent
from expcore.host import Candidate, PluginHost
from expcore.host.resolution import decide
from expcore.host.selection import Choice
from expcore.testing import PluginSandbox
from expcore.types import Component

DISTS = ("a", "b", "c", "expcore")

# --- the rules of docs/plugins.md, once more ------------------------------------------------------------


def meaning(offers, qualified, choice):
    """The rule that decides among offers (dist, at run time) that are on, and the places of what it leaves.

    Every offer that may win has a rank: what is declared before what is worked out, a stranger before a
    built-in unless a distribution is named. The best rank wins, if only one has it.
    """
    named = qualified or choice
    ranks = {
        n: (at_run_time, dist == "expcore" and not named)
        for n, (dist, at_run_time) in enumerate(offers)
        if named in (None, dist)
    }
    best = [n for n, rank in ranks.items() if rank == min(ranks.values())]
    if len(best) > 1:
        return "conflict", best
    if qualified or choice:
        return ("qualified name" if qualified else "choice"), best
    return ("built-in" if best and offers[best[0]][0] == "expcore" else "third party"), best


@st.composite
def offers(draw):
    one = st.tuples(st.sampled_from(DISTS), st.booleans(), st.booleans(), st.booleans())
    return draw(st.lists(one, min_size=1, max_size=5))


@settings(max_examples=300, deadline=None)
@given(
    offers(),
    st.sampled_from([None, *DISTS, "nobody"]),
    st.sampled_from([None, *DISTS, "nobody"]),
)
@example([("a", False, False, False), ("a", False, False, False)], None, None)
@example([("expcore", False, False, False), ("a", False, False, True)], None, None)
def test_what_is_decided_is_what_the_rules_say(drawn, qualified, choice):
    candidates = [
        Candidate(
            Component("exporters", "best", dict, dist, "1", target=f"m{n}:x"),
            status="broken" if broken else "shadowed",
            blocked="off" if off else None,
            at_run_time=at_run_time,
        )
        for n, (dist, off, broken, at_run_time) in enumerate(drawn)
    ]
    found = decide("exporters", "best", qualified or "", candidates, Choice(choice, "x") if choice else None)
    on = [n for n, each in enumerate(drawn) if not each[1]]
    rule, left = meaning([(drawn[n][0], drawn[n][3]) for n in on], qualified, choice)
    best = [on[n] for n in left]
    if len(best) == 1:
        assert (found.rule, found.winner, found.error) == (rule, candidates[best[0]].component, None)
    elif best:
        assert (found.rule, found.winner, type(found.error)) == ("conflict", None, ComponentConflict)
    else:
        asked = [each for each in drawn if each[0] == (qualified or choice or each[0])]
        rule = "blocked" if asked else "unknown"
        assert (found.rule, found.winner, type(found.error)) == (rule, None, UnknownComponent)
    statuses = {c.component.target: c.status for c in found.candidates}
    assert len(statuses) == len(drawn)
    for n, (_, off, broken, _) in enumerate(drawn):
        picked = "active" if len(best) == 1 else "conflict"
        wanted = "blocked" if off else "broken" if broken else picked if n in best else "shadowed"
        assert statuses[f"m{n}:x"] == wanted


# --- with blocking and choices from three sources ---------------------------------------------------------

LABELS = ("exporters/best", "hooks/h")
TOKENS = st.one_of(
    st.sampled_from(DISTS),
    st.sampled_from(LABELS),
    st.builds("{}:{}".format, st.sampled_from(DISTS), st.sampled_from(LABELS)),
)


@st.composite
def sources(draw):
    """What one source says: choices, what it switches off, what it lets in."""
    use = draw(st.dictionaries(st.sampled_from(LABELS), st.sampled_from(DISTS), max_size=2))
    allow = draw(st.one_of(st.none(), st.lists(TOKENS, max_size=2)))
    return use, draw(st.lists(TOKENS, max_size=1)), allow


def hit(tokens, dist, label):
    return any(token in (dist, label, f"{dist}:{label}") for token in tokens)


def is_on(dist, label, said):
    if any(hit(disable, dist, label) for _, disable, _ in said):
        return False
    allow = next((allow for _, _, allow in said if allow is not None), None)
    return allow is None or dist == "expcore" or hit(allow, dist, label)


def host_of(provided, code, environment, project):
    environ = {"EXPCORE_USE": ",".join(f"{label}={dist}" for label, dist in environment[0].items())}
    environ["EXPCORE_DISABLE"] = ",".join(environment[1])
    if environment[2] is not None:
        environ["EXPCORE_ALLOW"] = ",".join(environment[2])
    table = {"use": project[0], "disable": project[1]}
    if project[2] is not None:
        table["allow"] = project[2]
    box = PluginSandbox()
    box.host = PluginHost(
        use=code[0], disable=code[1], allow=code[2], environ=environ, settings=table, entry_points=[]
    )
    for dist, label in sorted(provided):
        box.add(*label.split("/"), dict, dist=dist)
    return box.host


@settings(max_examples=200, deadline=None)
@given(
    st.sets(st.tuples(st.sampled_from(DISTS), st.sampled_from(LABELS)), min_size=1),
    sources(),
    sources(),
    sources(),
    st.sampled_from([None, *DISTS]),
)
def test_what_a_name_means_under_code_environment_and_project_is_what_the_rules_say(
    provided, code, environment, project, qualified
):
    said = (code, environment, project)
    host = host_of(provided, *said)
    for label in sorted({label for _, label in provided}):
        kind, name = label.split("/")
        choice = next((use[label] for use, _, _ in said if label in use), None)
        on = sorted(dist for dist, its in provided if its == label and is_on(dist, label, said))
        rule, left = meaning([(dist, False) for dist in on], qualified, choice)
        found = host.explain(kind, f"{qualified}:{name}" if qualified else name)
        if len(left) == 1:
            assert (found.rule, found.winner.dist) == (rule, on[left[0]])
        else:
            assert found.winner is None
            assert (found.rule == "conflict") == bool(left)
        blocked = {c.dist for c in found.candidates if c.status == "blocked"}
        assert blocked == {dist for dist, its in provided if its == label} - set(on)
        assert {key for key in host.snapshot()["blocked"] if key.endswith(label)} == {
            f"{dist}:{label}" for dist in blocked
        }
