"""Which contracts and falsifiers a command is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from pv.catalog import Catalog, load_catalog
from pv.errors import NothingToCheck, UnreadableContract, UsageError
from pv.load import Loaded
from pv.schema.contract import Contract, Falsifier
from pv.schema.finding import Severity
from pv.schema.settings import Settings
from pv.suggest import did_you_mean

Selected = tuple[Loaded, Contract, Falsifier]


def readable_catalog(root: Path, settings: Settings) -> Catalog:
    """The project's contracts, all of them readable and with ids of their own.

    Raises:
        UnreadableContract: a file has errors or an id stands twice; the first one is named.
        UsageError, NothingToCheck: see `load_catalog`.
    """
    catalog = load_catalog(root, settings)
    errors = [item for loaded in catalog.loaded for item in loaded.findings if item.severity is Severity.ERROR]
    if errors:
        first = errors[0]
        more = f" (and {len(errors) - 1} more errors)" if len(errors) > 1 else ""
        raise UnreadableContract(f"{first.location}: {first.message}{more}; run pv validate")
    for name, files in catalog.duplicates.items():
        raise UnreadableContract(f"contract id '{name}' stands in {' and '.join(item.path for item in files)}")
    repeated = _repeated(falsifier.id for _, falsifier in catalog.falsifiers())
    if repeated:
        raise UnreadableContract(f"falsifier id '{repeated}' stands twice in the catalog; run pv validate")
    return catalog


def select(catalog: Catalog, selectors: Sequence[str]) -> list[Selected]:
    """Falsifiers that any selector names: a falsifier id, a contract id, a glob over either, or a contract file.

    Without selectors, all of them. The order is the catalog's.

    Raises:
        UsageError: a selector names nothing.
        NothingToCheck: there is no falsifier at all.
    """
    everything = [
        (loaded, loaded.contract, falsifier)
        for loaded in catalog.loaded
        if loaded.contract is not None
        for falsifier in loaded.contract.falsifiers
    ]
    if not everything:
        raise NothingToCheck("no falsifier in any contract; nothing was run")
    if not selectors:
        return everything
    chosen: set[str] = set()
    for selector in selectors:
        found = {item[2].id for item in everything if _names(selector, item, catalog.root)}
        if not found:
            known = [name for item in everything for name in (item[1].id, item[2].id)]
            raise UsageError(f"selector {selector!r} names no contract and no falsifier{did_you_mean(selector, known)}")
        chosen |= found
    return [item for item in everything if item[2].id in chosen]


def contracts_of(selected: Iterable[Selected]) -> list[tuple[Loaded, Contract]]:
    """The contracts concerned, each once, in order."""
    return list({contract.id: (loaded, contract) for loaded, contract, _ in selected}.values())


def _repeated(names: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def _names(selector: str, item: Selected, root: Path) -> bool:
    loaded, contract, falsifier = item
    if any(fnmatchcase(name, selector) for name in (contract.id, falsifier.id)):
        return True
    path = Path(selector)
    return path.suffix in (".yaml", ".yml") and path.resolve() == (root / loaded.path).resolve()
