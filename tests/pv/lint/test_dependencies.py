"""Cycles among contracts, and references to contracts that cannot be read."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pv.lint.components import components
from pv.lint.engine import run_rules
from pv.lint.rule import Stage
from support.catalogs import GOOD, context

NAMES = ("a", "b", "c", "d", "e")
graphs = st.fixed_dictionaries({name: st.lists(st.sampled_from(NAMES), unique=True).map(tuple) for name in NAMES})


def reachable(graph: dict[str, tuple[str, ...]]) -> set[tuple[str, str]]:
    """Warshall's transitive closure: slow, and nothing like the algorithm under test."""
    closure = {(node, successor) for node in graph for successor in graph[node]}
    for middle, start, end in product(graph, repeat=3):
        if (start, middle) in closure and (middle, end) in closure:
            closure.add((start, end))
    return closure


@given(graphs)
def test_components_are_the_groups_that_reach_each_other(graph):
    closure = reachable(graph)
    expected = {frozenset(b for b in NAMES if b == a or ((a, b) in closure and (b, a) in closure)) for a in NAMES}
    found = components(graph)
    assert set(found) == expected
    assert len(found) == len(expected)


def test_a_long_chain_is_no_recursion_error():
    count = 20_000
    graph = {str(number): (str(number + 1),) for number in range(count)} | {str(count): ()}
    assert len(components(graph)) == count + 1
    graph[str(count)] = ("0",)
    assert [len(group) for group in components(graph)] == [count + 1]


def contract(name: str, *depends_on: str) -> str:
    text = GOOD.replace("id: rope\n", f"id: {name}\ndepends_on: [{', '.join(depends_on)}]\n")
    text = text.replace("FALSIFY-ROPE-001", f"FALSIFY-{name}-001").replace("1000 random pairs", f"pairs of {name}")
    return text.replace("    rotation:", "    rotation:")


def lint(*texts: str) -> list[tuple[str, str]]:
    found = run_rules(context(*texts), {Stage.FILE, Stage.CATALOG}, ignore=["file-name-mismatch"])
    return [(item.rule, item.message) for item in found]


def test_cycle_is_reported_once_by_its_shortest_way_round():
    found = lint(
        contract("c", "a"), contract("a", "b", "d"), contract("b", "c"), contract("d", "b"), contract("e", "a")
    )
    assert found == [("dependency-cycle", "contracts depend on each other: a -> b -> c -> a")]


def test_two_cycles_are_two_findings():
    found = lint(contract("a", "b"), contract("b", "a"), contract("c", "d"), contract("d", "c"))
    assert found == [
        ("dependency-cycle", "contracts depend on each other: a -> b -> a"),
        ("dependency-cycle", "contracts depend on each other: c -> d -> c"),
    ]


def test_contract_on_itself_is_not_called_a_cycle_as_well():
    assert lint(contract("a", "a")) == [("self-dependency", "contract 'a' depends on itself")]


@pytest.mark.parametrize(
    "broken",
    [contract("b") + "knid: kernel\n", "id: [\n"],
    ids=["id can be read", "only the file's name is known"],
)
def test_dependency_on_a_contract_with_errors_is_not_called_unknown(broken):
    """Its own error is enough; b is the second file, c1-v1.yaml, or says so itself."""
    found = lint(contract("a", "b", "c1"), broken)
    assert ("unknown-dependency", "no contract has the id 'c1'") not in found
    assert len([rule for rule, _ in found if rule == "unknown-dependency"]) == ("[" in broken[:6])
