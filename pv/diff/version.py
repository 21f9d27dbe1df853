"""Which part of a version must rise, and whether it did."""

from __future__ import annotations

from dataclasses import dataclass

from pv.diff.compare import compare
from pv.diff.kinds import Change, Part, strongest
from pv.schema.contract import Contract


@dataclass(frozen=True, slots=True)
class Demand:
    """What one contract's changes ask of its version."""

    contract: str
    old: str
    new: str
    changes: tuple[Change, ...]
    needs: Part | None
    """None: nothing changed but perhaps the version itself."""

    @property
    def is_met(self) -> bool:
        old, new = _numbers(self.old), _numbers(self.new)
        if self.needs is None:
            return new >= old
        return new[: _LENGTH[self.needs]] > old[: _LENGTH[self.needs]]

    @property
    def example(self) -> str:
        """The lowest version that is enough."""
        if self.needs is None:
            return self.old
        numbers = list(_numbers(self.old))
        at = _LENGTH[self.needs] - 1
        numbers[at:] = [numbers[at] + 1, *[0] * (2 - at)]
        return ".".join(str(number) for number in numbers)


_LENGTH = {Part.MAJOR: 1, Part.MINOR: 2, Part.PATCH: 3}
"""Numbers that are compared."""


def demand(old: Contract, new: Contract) -> Demand:
    changes = compare(old, new)
    kind = strongest(changes)
    return Demand(new.id, old.version, new.version, changes, kind.part if kind else None)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
