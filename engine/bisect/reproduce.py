"""The first divergence as a test that anybody can run: a pytest falsifier, and the contract that it belongs to.

The test runs the production forward of the side on the same tokens, takes what one operation was given and what it
made, and holds that to its floor. Nothing recorded is needed, only the model and this package.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from engine.bisect import rendering, replay
from engine.bisect.distance import MARGIN, Excess
from engine.bisect.judge import First
from engine.bisect.places import Array, Place, plan_of
from engine.bisect.record import run
from engine.bisect.session import Session
from engine.bisect.store import Store
from engine.errors import ParityError
from engine.gguf.reader import open_gguf
from engine.models import load_model
from engine.ops import load_ops
from engine.parity.sides import load, parse

CHALLENGE = "engine.bisect.seeded:operation_off"


@dataclass(frozen=True, slots=True)
class OwnError:
    """One operation of one side."""

    times: float
    """The worst position's own error, in floors; a number also where a value is not finite."""
    position: int
    """The first beyond the floor, or the worst."""
    channel: int
    made: float
    expected: float
    device: Mapping[str, Any]
    """Where it ran, as pytest's fixture `pv` wants it."""


def own_error(
    model: str | os.PathLike[str],
    side: str,
    token_ids: Sequence[int],
    *,
    decode: int,
    layer: int | None,
    tap: str,
    margin: float = MARGIN,
) -> OwnError:
    """Run one side, and measure the own error of one operation.

    Args:
        side: the name of a live side, see `engine.parity.sides`.
        decode: how many of the last tokens come one by one.
        layer, tap: which operation, by the place of its result in `engine.trace`.

    Raises:
        EngineError: the side cannot run here, or the model has no such operation.
    """
    place = Place(layer, tap)
    path = Path(model)
    with TemporaryDirectory() as folder, open_gguf(path) as file:
        reference = load_model(file, load_ops("reference"))
        plan = plan_of(reference)
        if plan.index(place) is None:
            raise ParityError(f"{path.name}: no operation makes {place}; look at the taps of this model with q4k trace")
        store = Store(Path(folder), len(token_ids))
        with load(parse(side), path) as live:
            ran = run(live, token_ids, decode, store)

        def recorded(where: Place) -> Array | None:
            array = store.get(where)
            return _made(array) if where == place and array is not None else array

        own = replay.measure(reference, plan, ran.precision, token_ids, recorded, place)[0]
    excess = Excess.of(own.error, own.floor(margin))
    device = ran.facts.get("device", {})
    return OwnError(
        min(excess.times, sys.float_info.max),
        excess.position,
        excess.channel,
        float(own.made[excess.position]),
        float(own.expected[excess.position]),
        {"target": "cpu", **device, "backend": ran.facts["backend"], "precision": ran.facts["precision"]},
    )


def _made(array: Array) -> Array:
    """What the operation made; a seeded fault takes the place of this."""
    return array


def write(first: First, session: Session, side: str, target: Path, *, margin: float = MARGIN) -> tuple[Path, Path]:
    """Write the test, and beside it the contract.

    Args:
        side: 'a' or 'b'.
        target: the test's file; its name begins with test_.

    Returns:
        Both paths.

    Raises:
        ParityError: the name is not a test's, the side is a saved one, or a file is in the way.
    """
    check(target)
    name, place = session.sides[side].name, first.cell.place
    if parse(name).path is not None:
        raise ParityError(f"{name}: a saved side cannot be run by a test; bisect where it runs")
    slug = f"{name}-{'model' if place.layer is None else f'layer-{place.layer}'}-{place.name.replace('_', '-')}"
    values = {
        "slug": slug,
        "falsifier": f"FALSIFY-{slug.upper()}-001",
        "function": f"test_{slug.replace('-', '_')}_is_within_its_floor",
        "node": f"{target.as_posix()}::test_{slug.replace('-', '_')}_is_within_its_floor",
        "target": "cuda" if name.startswith("cuda") else "cpu",
        "side": name,
        "layer": place.layer,
        "tap": place.name,
        "place": str(place),
        "model": session.model,
        "token_ids": list(session.token_ids),
        "decode": session.decode,
        "margin": margin,
        "times": f"{first.excess.times:.4g}",
        "position": first.excess.position,
        "channel": first.excess.channel,
        "precision": str(session.sides[side].precision),
        "challenge": CHALLENGE,
    }
    contract = target.parent / f"{slug}-v1.yaml"
    for path, template in ((target, "falsifier.py.j2"), (contract, "contract.yaml.j2")):
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(rendering.text(template, values))
        except OSError as err:
            raise ParityError(f"{path}: {err.strerror}; give a new file in a folder that exists") from err
    return target, contract


def check(target: Path) -> None:
    """Refuse a name that pytest would not collect.

    Raises:
        ParityError: with the name that is expected.
    """
    if not (target.name.startswith("test_") and target.suffix == ".py"):
        raise ParityError(f"--emit-falsifier is {json.dumps(target.name)}, must be the name of a test_*.py file")
