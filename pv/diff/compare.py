"""Classify every difference between two versions of one contract; pure.

Text of a claim (formula, domain, property, prediction) is compared after blanks are evened out. Where it differs the
change is breaking: a program cannot tell a typo from another claim, and the safe answer costs one number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from pv.diff.kinds import Change, Class
from pv.schema.contract import (
    Challenge,
    Contract,
    Equation,
    Falsifier,
    Obligation,
    ObligationType,
    Suppression,
    Tolerance,
    Waiver,
)
from pv.schema.verdict import serves

_EDITORIAL_KEYS: Final = ("title", "description")
_SHOWN_LENGTH: Final = 80


def compare(old: Contract, new: Contract) -> tuple[Change, ...]:
    """Every change but that of the version; the discharge block is machine-written and left out."""
    changes = list(_contract(old, new))
    if not changes and _content(old) != _content(new):
        changes.append(Change(Class.EDITORIAL, "order", "", "", "entries stand in another order or are repeated"))
    return tuple(changes)


def _contract(old: Contract, new: Contract) -> Iterator[Change]:
    yield from _text("id", old.id, new.id, Class.BREAKING)
    yield from _text("kind", old.kind.value, new.kind.value, Class.BREAKING)
    for key in _EDITORIAL_KEYS:
        yield from _text(key, getattr(old, key), getattr(new, key), Class.EDITORIAL)
    yield from _set("references", old.references, new.references, gone=Class.EDITORIAL, come=Class.EDITORIAL)
    yield from _set("depends_on", old.depends_on, new.depends_on)
    yield from _named("equations", old.equations, new.equations, _equation, gone=Class.BREAKING, come=Class.EDITORIAL)
    obligations = _by_id(old.obligations), _by_id(new.obligations)
    yield from _named("obligations", *obligations, _obligation)
    ending = {item.id for item in (*old.obligations, *new.obligations) if item.type is ObligationType.TERMINATION}

    def falsifier(key: str, before: Falsifier, after: Falsifier) -> Iterator[Change]:
        return _falsifier(key, before, after, ends=not ending.isdisjoint((*before.refutes, *after.refutes)))

    yield from _named("falsifiers", _by_id(old.falsifiers), _by_id(new.falsifiers), falsifier)
    waivers = _by_obligation(old.waivers), _by_obligation(new.waivers)
    yield from _named("waivers", *waivers, _waiver, gone=Class.TIGHTENED, come=Class.LOOSENED)
    suppressed = [_suppression(item) for item in old.suppress], [_suppression(item) for item in new.suppress]
    yield from _set("suppress", *suppressed, gone=Class.EDITORIAL, come=Class.EDITORIAL)


def _equation(key: str, old: Equation, new: Equation) -> Iterator[Change]:
    for field in ("formula", "domain", "codomain"):
        yield from _text(f"{key}.{field}", getattr(old, field), getattr(new, field), Class.BREAKING)
    yield from _set(f"{key}.invariants", old.invariants, new.invariants)
    yield from _text(f"{key}.source", old.source, new.source, Class.EDITORIAL)


def _obligation(key: str, old: Obligation, new: Obligation) -> Iterator[Change]:
    yield from _text(f"{key}.type", old.type.value, new.type.value, Class.BREAKING)
    yield from _text(f"{key}.equation", old.equation, new.equation, Class.BREAKING)
    yield from _text(f"{key}.property", old.property, new.property, Class.BREAKING)
    if old.tolerance is not None and new.tolerance is not None:
        yield from _tolerance(f"{key}.tolerance", old.tolerance, new.tolerance)
    elif (old.tolerance is None) != (new.tolerance is None):
        yield _tolerance_came_or_went(key, old, new)
        return
    if old.exact != new.exact:
        kind = Class.TIGHTENED if new.exact else Class.LOOSENED
        yield Change(kind, f"{key}.exact", str(old.exact).lower(), str(new.exact).lower())


def _tolerance_came_or_went(key: str, old: Obligation, new: Obligation) -> Change:
    before, after = _allowed(old), _allowed(new)
    if old.exact or (old.tolerance is not None and not new.exact):
        why = "equality became a tolerance" if old.exact else "nothing limits it any more"
        return Change(Class.LOOSENED, f"{key}.tolerance", before, after, why)
    return Change(Class.TIGHTENED, f"{key}.tolerance", before, after)


def _allowed(obligation: Obligation) -> str:
    tolerance = obligation.tolerance
    if tolerance is None:
        return "exact" if obligation.exact else ""
    sign = "<=" if tolerance.bound == "at_most" else ">="
    return f"{tolerance.metric} {sign} {tolerance.limit:g} {tolerance.unit}"


def _tolerance(key: str, old: Tolerance, new: Tolerance) -> Iterator[Change]:
    for field in ("metric", "unit", "bound"):
        yield from _text(f"{key}.{field}", getattr(old, field), getattr(new, field), Class.BREAKING)
    if old.limit != new.limit:
        looser = new.limit > old.limit if new.bound == "at_most" else new.limit < old.limit
        kind = Class.LOOSENED if looser else Class.TIGHTENED
        why = f"{'raised' if new.limit > old.limit else 'lowered'}, and the measured value is {_words(new.bound)} it"
        yield Change(kind, f"{key}.limit", repr(old.limit), repr(new.limit), why)
    yield from _text(f"{key}.reason", old.reason, new.reason, Class.EDITORIAL)


def _words(bound: str) -> str:
    return bound.replace("_", " ")


def _falsifier(key: str, old: Falsifier, new: Falsifier, *, ends: bool) -> Iterator[Change]:
    yield from _set(f"{key}.refutes", old.refutes, new.refutes)
    yield from _text(f"{key}.prediction", old.prediction, new.prediction, Class.BREAKING)
    yield from _test(f"{key}.test", old.test, new.test)
    yield from _targets(f"{key}.targets", old.targets, new.targets)
    challenges = _by_fault(old.challenges), _by_fault(new.challenges)
    yield from _named(f"{key}.challenges", *challenges, _challenge)
    yield from _set(f"{key}.subjects", old.subjects, new.subjects)
    yield from _text(f"{key}.if_fails", old.if_fails, new.if_fails, Class.EDITORIAL)
    if old.timeout_s != new.timeout_s:
        longer = new.timeout_s > old.timeout_s
        kind = Class.EDITORIAL if not ends else Class.LOOSENED if longer else Class.TIGHTENED
        why = "it refutes an obligation of type termination" if ends else ""
        yield Change(kind, f"{key}.timeout_s", f"{old.timeout_s:g}", f"{new.timeout_s:g}", why)


def _test(key: str, old: str, new: str) -> Iterator[Change]:
    if old == new:
        return
    if old == new.partition("[")[0]:
        yield Change(Class.LOOSENED, key, old, new, "one parameter set instead of all")
    elif new == old.partition("[")[0]:
        yield Change(Class.TIGHTENED, key, old, new, "all parameter sets instead of one")
    else:
        yield Change(Class.BREAKING, key, old, new, "another test")


def _targets(key: str, old: Sequence[str], new: Sequence[str]) -> Iterator[Change]:
    """A target is kept if a new one is a kind of it: cuda:sm_90 serves where cuda is required."""
    for target in dict.fromkeys(old):
        if not any(serves(item, target) for item in new):
            yield Change(Class.LOOSENED, f"{key}[{target}]", target, "", "no longer required")
    for target in dict.fromkeys(new):
        if not any(serves(item, target) for item in old):
            yield Change(Class.TIGHTENED, f"{key}[{target}]", "", target)


def _challenge(key: str, old: Challenge, new: Challenge) -> Iterator[Change]:
    if old.grade != new.grade:
        kind = Class.LOOSENED if new.grade is None else Class.TIGHTENED
        yield Change(kind, f"{key}.grade", old.grade or "", new.grade or "")


def _waiver(key: str, old: Waiver, new: Waiver) -> Iterator[Change]:
    if old.expires != new.expires:
        kind = Class.LOOSENED if new.expires > old.expires else Class.TIGHTENED
        yield Change(kind, f"{key}.expires", old.expires.isoformat(), new.expires.isoformat())
    yield from _text(f"{key}.owner", old.owner, new.owner, Class.EDITORIAL)
    yield from _text(f"{key}.reason", old.reason, new.reason, Class.EDITORIAL)


def _suppression(item: Suppression) -> str:
    return f"{item.rule} of {item.id} until {item.until} by {item.owner}: {item.reason}"


def _named(
    key: str,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    inside: Callable[[str, Any, Any], Iterator[Change]],
    *,
    gone: Class = Class.LOOSENED,
    come: Class = Class.TIGHTENED,
) -> Iterator[Change]:
    for name in (*old, *(name for name in new if name not in old)):
        place = f"{key}[{name}]"
        if name not in new:
            yield Change(gone, place, name, "", "dropped")
        elif name not in old:
            yield Change(come, place, "", name, "added")
        else:
            yield from inside(place, old[name], new[name])


def _set(
    key: str,
    old: Sequence[str],
    new: Sequence[str],
    *,
    gone: Class = Class.LOOSENED,
    come: Class = Class.TIGHTENED,
) -> Iterator[Change]:
    before, after = [_even(item) for item in old], [_even(item) for item in new]
    for item in dict.fromkeys(before):
        if item not in after:
            yield Change(gone, key, _short(item), "", "dropped")
    for item in dict.fromkeys(after):
        if item not in before:
            yield Change(come, key, "", _short(item), "added")


def _text(key: str, old: str | None, new: str | None, kind: Class) -> Iterator[Change]:
    before, after = _even(old or ""), _even(new or "")
    if before != after:
        yield Change(kind, key, _short(before), _short(after))


def _even(text: str) -> str:
    return " ".join(text.split())


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_LENGTH else text[: _SHOWN_LENGTH - 3] + "..."


def _by_id(items: Sequence[Any]) -> dict[str, Any]:
    return {item.id: item for item in items}


def _by_fault(items: Sequence[Challenge]) -> dict[str, Challenge]:
    return {item.fault: item for item in items}


def _by_obligation(items: Sequence[Waiver]) -> dict[str, Waiver]:
    """Of several waivers the one that lasts longest."""
    return {item.obligation: item for item in sorted(items, key=lambda item: item.expires)}


def _content(contract: Contract) -> Contract:
    return contract.model_copy(update={"discharge": None, "version": "0.0.0"})
