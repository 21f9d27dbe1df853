from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

from pv.lint.components import components
from pv.lint.context import LintContext
from pv.lint.rule import Rule
from pv.load import Loaded
from pv.schema.finding import Finding

Graph = Mapping[str, tuple[str, ...]]


class DependencyCycle(Rule):
    """Contracts depend on each other in a circle.

    ## What it does
    Follows `depends_on` through the catalog and reports each group of contracts that reach each other, once, with a
    shortest way round.

    ## Why is this bad?
    In a circle every claim rests on the others and none on something that was checked by itself. There is also no
    order in which to find out which of them broke first.

    ## Example
    ```yaml
    # rope-v1.yaml
    depends_on: [gqa-attention]
    # gqa-attention-v1.yaml
    depends_on: [rope]
    ```

    ## Use instead
    ```yaml
    # rope-v1.yaml
    depends_on: []
    # gqa-attention-v1.yaml
    depends_on: [rope]
    ```

    ## References
    - `pv explain self-dependency`
    """

    name = "dependency-cycle"
    fix = "remove the dependency of the more basic contract on the other"

    def check(self, context: LintContext) -> Iterable[Finding]:
        owner: dict[str, Loaded] = {}
        graph: dict[str, tuple[str, ...]] = {}
        for loaded, contract in context.readable:
            if owner.setdefault(contract.id, loaded) is loaded:
                known = (item for item in contract.depends_on if item in context.contract_ids and item != contract.id)
                graph[contract.id] = tuple(dict.fromkeys(known))
        for group in components(graph):
            if len(group) > 1:
                start = min(group)
                way = _shortest_way_round(graph, start, group)
                loaded = owner[start]
                yield self.at(
                    loaded,
                    ("depends_on",),
                    f"contracts depend on each other: {' -> '.join(way)}",
                    subject=start,
                    related=[(f"{name} goes on here", owner[name].locations[("depends_on",)]) for name in way[1:-1]],
                )


def _shortest_way_round(graph: Graph, start: str, group: frozenset[str]) -> list[str]:
    """From `start` back to itself within its group, by breadth first."""
    came_from: dict[str, str] = {}
    queue = deque([start])
    while queue:
        node = queue.popleft()
        for successor in graph[node]:
            if successor == start:
                way = [start, node]
                while way[-1] != start:
                    way.append(came_from[way[-1]])
                return way[::-1]
            if successor in group and successor not in came_from:
                came_from[successor] = node
                queue.append(successor)
    raise AssertionError(f"{start} is in a component of several contracts but reaches itself by no way")
