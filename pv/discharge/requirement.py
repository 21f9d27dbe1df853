"""What a gate requires on one target: falsifiers, and obligations that nothing refutes there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from pv.catalog import selects
from pv.schema.contract import Contract, Falsifier
from pv.schema.gate import Gate, Requirement
from pv.schema.verdict import serves


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that keeps a gate from YES and is no row."""

    where: str
    what: str
    command: str = ""
    """What shows more or mends it; empty where only an editor helps."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One falsifier that must be DISCHARGED on target `on`."""

    contract: str
    on: str
    falsifier: str = ""
    """Empty: no falsifier refutes `obligations` on this target."""
    obligations: tuple[str, ...] = ()
    path: str = ""
    """Of the contract's file."""
    if_fails: str = ""
    gap: str = ""
    """Why there is no falsifier."""
    problem: Problem | None = None
    """The requirement names nothing, or too little; then all else is empty."""


def asks(gate: Gate, target: str, contracts: Sequence[Contract], paths: Mapping[str, str]) -> list[Ask]:
    """Everything that the gate requires for `target`, each once, in the order of its file.

    Args:
        contracts: the whole catalog.
        paths: contract id -> its file.
    """
    found: dict[tuple[str, str, str, tuple[str, ...]], Ask] = {}
    for requirement in gate.requires:
        if requirement.targets and not any(serves(target, item) for item in requirement.targets):
            continue
        for ask in _required(gate, requirement, requirement.on or target, contracts, paths):
            found.setdefault((ask.contract, ask.on, ask.falsifier, ask.obligations), ask)
    return list(found.values())


def _required(
    gate: Gate, requirement: Requirement, on: str, contracts: Sequence[Contract], paths: Mapping[str, str]
) -> Iterator[Ask]:
    named: set[str] = set()
    names_all = True
    for selector in requirement.select:
        whole = [item for item in contracts if selects(selector, item, paths.get(item.id, ""))]
        single = [(item, one) for item in contracts for one in item.falsifiers if fnmatchcase(one.id, selector)]
        if not whole and not single:
            names_all = False
            yield Ask("", on, selector, problem=Problem(gate.id, f"requires {selector!r}, which names no contract"))
        for contract in whole:
            named.add(contract.id)
            yield from _of_contract(contract, on, paths)
        for contract, falsifier in single:
            named.add(contract.id)
            yield _of_falsifier(contract, falsifier, on, paths)
    if names_all and len(named) < requirement.at_least:
        what = f"requires at least {requirement.at_least} contracts by {', '.join(requirement.select)}"
        yield Ask("", on, what, problem=Problem(gate.id, f"{what}, {len(named)} are there"))


def _of_contract(contract: Contract, on: str, paths: Mapping[str, str]) -> Iterator[Ask]:
    claiming = [item for item in contract.falsifiers if _claims(item, on)]
    for falsifier in claiming:
        yield _of_falsifier(contract, falsifier, on, paths)
    refuted = {name for item in claiming for name in item.refutes}
    open_here = tuple(item.id for item in contract.obligations if item.id not in refuted)
    if open_here:
        elsewhere = [item.id for item in contract.falsifiers if not refuted.issuperset(item.refutes)]
        yield Ask(contract.id, on, obligations=open_here, path=paths.get(contract.id, ""), gap=_gap(on, elsewhere))


def _of_falsifier(contract: Contract, falsifier: Falsifier, on: str, paths: Mapping[str, str]) -> Ask:
    path = paths.get(contract.id, "")
    if not _claims(falsifier, on):
        return Ask(contract.id, on, obligations=falsifier.refutes, path=path, gap=_gap(on, [falsifier.id]))
    return Ask(contract.id, on, falsifier.id, falsifier.refutes, path, falsifier.if_fails)


def _claims(falsifier: Falsifier, on: str) -> bool:
    """Whether the falsifier is declared for this target, or for the general one of which it is a kind."""
    return any(serves(on, required) or serves(required, on) for required in falsifier.targets)


def _gap(on: str, elsewhere: Sequence[str]) -> str:
    if not elsewhere:
        return f"no falsifier refutes it, on {on} or elsewhere"
    shown = ", ".join(elsewhere[:3]) + (f" and {len(elsewhere) - 3} more" if len(elsewhere) > 3 else "")
    return f"nothing claims it on {on}; {shown} {'names' if len(elsewhere) == 1 else 'name'} other targets"
