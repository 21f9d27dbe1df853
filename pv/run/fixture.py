"""What a falsifier gets as `pv`: where it runs, on which model, and a place for what it measured."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, SupportsFloat

import pytest

from pv import compare

MAX_ATTACHMENT_BYTES = 1 << 20
MAX_ATTACHMENTS = 16

Send = Callable[..., None]
"""`send(kind, **fields)`: hands a record to the parent, or drops it where there is none."""


def drop(kind: str, **fields: Any) -> None:
    """The `Send` of an ordinary pytest run."""


@dataclass(frozen=True)
class Context:
    """What is the same for every test of a session."""

    target: str
    model: Path | None
    send: Send = drop


CONTEXT = pytest.StashKey[Context]()


@dataclass
class Pv:
    """The fixture `pv`, one for each test."""

    nodeid: str
    _context: Context
    _names: set[str] = field(default_factory=set)
    _attachments: set[str] = field(default_factory=set)
    _ran_target: str | None = None

    @property
    def target(self) -> str:
        """The target that is claimed: cpu, cpu-oracle, cuda, cuda:sm_90, cuda-interpreted, cuda-compiled."""
        return self._context.target

    @property
    def model(self) -> Path:
        """The model file under test; asking for it makes the model part of the evidence.

        Raises:
            pytest.UsageError: none is configured, or the file is missing.
        """
        path = self._context.model
        if path is None:
            raise pytest.UsageError("no model: set 'model' in [tool.pv], PV_MODEL, or pv discharge --model")
        if not path.exists():
            raise pytest.UsageError(f"{path}: no such model file")
        self._context.send("model", id=self.nodeid)
        return path

    def record(
        self, name: str, value: SupportsFloat, limit: SupportsFloat | None = None, unit: str = "1",
        bound: str = "at_most",
    ) -> None:  # fmt: skip
        """Keep a measured value, on a pass as well; with `limit`, also require it.

        Args:
            value: a finite number; numpy scalars are welcome, arrays are not.
            unit: `1` for a pure ratio.
            bound: `at_most` (the value is an error) or `at_least` (it is a score).
        Raises:
            AssertionError: the value is beyond the limit; it is recorded first.
            ValueError, TypeError: the value cannot be evidence, or the name is taken.
        """
        if bound not in ("at_most", "at_least"):
            raise ValueError(f"pv.record: {name!r} has bound {bound!r}, expected at_most or at_least")
        number = _finite(name, value)
        most = None if limit is None else _finite(f"limit of {name}", limit)
        self._keep(name, number, most, unit, bound)
        if most is not None and (number > most if bound == "at_most" else number < most):
            measured = f"{number:.6g}" if unit == "1" else f"{number:.6g} {unit}"
            raise AssertionError(f"{name} = {measured}, expected {bound.replace('_', ' ')} {most:.6g}")

    def close(
        self, actual: object, expected: object, *, limit: float, metric: str = "max_abs", unit: str = "1",
        name: str = "",
    ) -> None:  # fmt: skip
        """Record how far numbers are apart, and require the limit; see `pv.compare.close`.

        Raises:
            AssertionError: beyond the limit (it is recorded first), or `actual` is unfit.
            ValueError: `expected`, the limit or the name is unfit.
        """
        self._require(compare.measure_close(actual, expected, limit=limit, metric=metric, unit=unit, name=name))

    def exact(self, actual: object, expected: object, *, name: str = "") -> None:
        """Record how many elements differ, and require none; see `pv.compare.exact`."""
        self._require(compare.measure_exact(actual, expected, name=name))

    def cosine(self, actual: object, expected: object, *, limit: float, name: str = "") -> None:
        """Record the cosine of two vectors, and require at least `limit`; see `pv.compare.cosine`."""
        self._require(compare.measure_cosine(actual, expected, limit=limit, name=name))

    def kl(self, actual: object, expected: object, *, limit: float, name: str = "") -> None:
        """Record the largest divergence between rows of logits, and require the limit; see `pv.compare.kl`."""
        self._require(compare.measure_kl(actual, expected, limit=limit, name=name))

    def _require(self, found: compare.Comparison) -> None:
        self._keep(found.name, found.recorded, found.limit, found.unit, found.bound)
        if not found.holds:
            raise AssertionError(found.message())

    def _keep(self, name: str, value: float, limit: float | None, unit: str, bound: str) -> None:
        if not isinstance(name, str) or not name.strip():
            raise ValueError("pv.record: a value needs a name")
        if name in self._names:
            raise ValueError(f"pv.record: {name!r} is already recorded in this test; give each value a name of its own")
        if not isinstance(unit, str) or not unit:
            raise ValueError(f"pv.record: {name!r} has no unit; a pure ratio has unit '1'")
        self._names.add(name)
        self._context.send("value", id=self.nodeid, name=name, value=value, limit=limit, unit=unit, bound=bound)

    def attach(self, name: str, content: bytes | Path | str) -> None:
        """Keep bytes, or the file at a path, beside the evidence.

        Raises:
            ValueError: the name is taken, or it is more than 1 MiB, or the 17th of this test.
        """
        data = content if isinstance(content, bytes) else Path(content).read_bytes()
        if not name or name in self._attachments:
            raise ValueError(f"pv.attach: {name!r} is empty or already attached in this test")
        if len(data) > MAX_ATTACHMENT_BYTES:
            raise ValueError(f"pv.attach: {name!r} has {len(data)} bytes, at most {MAX_ATTACHMENT_BYTES} are kept")
        if len(self._attachments) == MAX_ATTACHMENTS:
            raise ValueError(f"pv.attach: {name!r} is one too many, at most {MAX_ATTACHMENTS} for a test")
        self._attachments.add(name)
        self._context.send(
            "attach", id=self.nodeid, name=name, sha256=hashlib.sha256(data).hexdigest(),
            data=base64.b64encode(data).decode("ascii"),
        )  # fmt: skip

    def ran_on(self, device: Mapping[str, object]) -> None:
        """State where the code under test ran, as the code itself reports it.

        Args:
            device: JSON values. "target" is compared with the claimed target by pv; on a GPU "launches" must be above
                0, a count of kernel launches or one by kernel: what launched nothing did not run there.
        Raises:
            ValueError: no target, or a second, different one.
        """
        target = device.get("target")
        if not isinstance(target, str) or not target:
            raise ValueError("pv.ran_on: the device record has no 'target'")
        if self._ran_target not in (None, target):
            raise ValueError(f"pv.ran_on: this test already ran on {self._ran_target!r}, now {target!r}")
        self._ran_target = target
        self._context.send("ran_on", id=self.nodeid, device=dict(device))


def _finite(name: str, value: SupportsFloat) -> float:
    if isinstance(value, (str, bytes, bool)) or not hasattr(value, "__float__"):
        raise TypeError(f"pv.record: {name} is {type(value).__name__}, expected a number")
    if getattr(value, "ndim", 0):
        raise TypeError(f"pv.record: {name} is an array, expected one number")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"pv.record: {name} is {number}, expected a finite number")
    return number
