"""Lint contexts built in memory: contracts as text, collections by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from types import MappingProxyType

from pv.catalog import Catalog
from pv.lint.context import LintContext
from pv.load import load_text
from pv.schema.binding import CollectedTest, Collection
from pv.schema.contract import Discharge
from pv.schema.evidence import Value
from pv.schema.settings import Settings
from pv.schema.store import BlockOrigin
from support.lint_examples import ROOT

GOOD = (ROOT / "missing-challenge" / "good" / "contracts" / "rope-v1.yaml").read_text(encoding="utf-8")
"""A contract without findings: one obligation `keeps-norm`, one falsifier `FALSIFY-ROPE-001`."""
TEST = "falsifiers/test_rope.py::test_keeps_norm"
"""The node id that it names."""


def context(
    *texts: str,
    collection: Collection | None = None,
    discharges: dict[str, Discharge] | None = None,
    blocks: Mapping[str, BlockOrigin] = MappingProxyType({}),
    measured: Mapping[str, Mapping[str, Sequence[Value]]] = MappingProxyType({}),
    root: Path = Path("/nowhere"),
) -> LintContext:
    """Each text is a file contracts/c<number>-v1.yaml; none means `GOOD` alone."""
    loaded = tuple(
        load_text(text.encode(), f"contracts/c{number}-v1.yaml") for number, text in enumerate(texts or (GOOD,))
    )
    return LintContext(
        catalog=Catalog(root, loaded),
        settings=Settings(),
        root=root,
        collection=collection,
        discharges=discharges,
        blocks=blocks,
        measured=measured,
        today=date(2026, 11, 21),
    )


def collected(nodeid: str, *falsifies: str, **facts: object) -> CollectedTest:
    """A test with one check that names the given falsifiers."""
    path = nodeid.split("::", 1)[0]
    return CollectedTest(nodeid, path, 7, falsifies, **{"checks": 1, **facts})  # type: ignore[arg-type]
