"""Strongly connected components of a directed graph, in linear time and without recursion.

Tarjan's algorithm (SIAM Journal on Computing 1 (2), 1972) with an explicit stack: a chain of ten thousand contracts
must not end in a RecursionError.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping


def components(graph: Mapping[str, tuple[str, ...]]) -> list[frozenset[str]]:
    """Groups of nodes that reach each other; every successor must be a node."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    open_nodes: dict[str, None] = {}
    found: list[frozenset[str]] = []
    for root in graph:
        if root in order:
            continue
        order[root] = low[root] = len(order)
        open_nodes[root] = None
        work: list[tuple[str, Iterator[str]]] = [(root, iter(graph[root]))]
        while work:
            node, successors = work[-1]
            for successor in successors:
                if successor not in order:
                    order[successor] = low[successor] = len(order)
                    open_nodes[successor] = None
                    work.append((successor, iter(graph[successor])))
                    break
                if successor in open_nodes:
                    low[node] = min(low[node], order[successor])
            else:
                work.pop()
                if work:
                    parent = work[-1][0]
                    low[parent] = min(low[parent], low[node])
                if low[node] == order[node]:
                    found.append(_take_until(open_nodes, node))
    return found


def _take_until(open_nodes: dict[str, None], last: str) -> frozenset[str]:
    group = set()
    while last not in group:
        group.add(open_nodes.popitem()[0])
    return frozenset(group)
