"""A seeded fault as its source describes it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Fault:
    reference: str
    """`module:function`."""
    concerns: frozenset[Path] = frozenset()
    """Files of the project that it breaks, absolute; empty if the source does not show it."""
    kind: str = ""
    """Its class: the file of a package that it is written in; empty for one of a plain module."""
    title: str = ""
    """First line of its docstring."""
    excuse: str = ""
    """Why no falsifier catches it, as its docstring says after `Not caught: `."""

    def may_reach(self, files: frozenset[Path]) -> bool:
        """Whether a test that runs these files could meet the fault."""
        return not self.concerns or bool(self.concerns & files)
