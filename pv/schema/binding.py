"""What pytest collected, and what its source shows without running it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CollectedTest:
    """One item of pytest's own collection."""

    nodeid: str
    """Exact node id, parameters included, relative to the project's root."""
    path: str
    line: int
    """1-based line of the test function."""
    falsifies: tuple[str, ...] = ()
    """Ids named by `@pytest.mark.falsifies(...)`, nearest first."""
    unconditional_skip: str | None = None
    """Reason of a skip mark that always applies, None without one."""
    xfail: bool = False
    checks: int = 0
    """Assertions, `pytest.raises`, `pytest.fail`, and calls of `pv` comparators that the function can reach by name."""
    reads_own_contract: bool = False
    """The only thing the test looks at is a contract file."""
    constant_assertions_only: bool = False
    """Every assertion compares constants, so none can fail."""

    @property
    def base(self) -> str:
        """Node id without parameters."""
        return self.nodeid.split("[", 1)[0]


@dataclass(frozen=True, slots=True)
class CollectionProblem:
    """A file that pytest could not collect."""

    path: str
    message: str


@dataclass(frozen=True, slots=True)
class Collection:
    tests: tuple[CollectedTest, ...] = ()
    problems: tuple[CollectionProblem, ...] = ()
    shadowed: tuple[tuple[str, int], ...] = ()
    """(node id, line) of test functions hidden by a later one of the same name."""
    imported: tuple[tuple[str, int, int], ...] = ()
    """(path, size in bytes, modification time in ns) of the module files that collecting loaded."""

    def bound_to(self, test: str) -> tuple[CollectedTest, ...]:
        """The tests a contract's `test:` names: the exact id, or every parameter set of it."""
        return tuple(item for item in self.tests if test in (item.nodeid, item.base))

    def by_name(self) -> dict[str, list[CollectedTest]]:
        """What `bound_to` answers, for every name that it has an answer to."""
        found: dict[str, list[CollectedTest]] = {}
        for test in self.tests:
            for name in dict.fromkeys((test.nodeid, test.base)):
                found.setdefault(name, []).append(test)
        return found
