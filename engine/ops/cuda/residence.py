"""What one model has on the device, and how precisely it multiplies.

The operations of `resident` are functions without state. Which weights lie on the device already is known by the
`Residence` of the model that runs; it is entered for as long as a forward takes. Two models, or one loaded twice, share
nothing, and releasing one leaves the other as it is. Outside a residence a weight is copied at every call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from engine.ops.cuda import target, weights
from engine.ops.cuda.weights import DeviceWeight
from engine.ops.protocol import F32, Weight

_current: ContextVar[Residence | None] = ContextVar("residence", default=None)


class Residence:
    """Weights, norm weights and biases of one model on the device; each is copied when it is first used."""

    def __init__(self, *, exact: bool = False) -> None:
        """Nothing is on the device yet.

        Args:
            exact: every product takes float32 activations.
        """
        self.exact = exact
        # The host object is kept beside: its id names it only as long as it lives.
        self._kept: dict[int, tuple[object, Any]] = {}
        self._stacks: dict[tuple[int, ...], DeviceWeight] = {}

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Inside, the operations of `resident` use these weights and this precision."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    def weight(self, host: Weight) -> DeviceWeight:
        """The weight on the device."""
        kept = self._kept.get(id(host))
        if kept is None:
            kept = self._kept[id(host)] = (host, weights.upload(host))
        found: DeviceWeight = kept[1]
        return found

    def stack(self, hosts: Sequence[Weight]) -> DeviceWeight | None:
        """The rows of several weights below each other; None if one of them was copied by itself before."""
        key = tuple(id(host) for host in hosts)
        if key not in self._stacks:
            if not weights.can_stack(hosts) or any(number in self._kept for number in key):
                return None
            self._stacks[key], members = weights.stack(hosts)
            for host, member in zip(hosts, members, strict=True):
                self.hold(host, member)
        return self._stacks[key]

    def vector(self, host: F32) -> Any:
        """A norm weight or bias on the device."""
        kept = self._kept.get(id(host))
        if kept is None:
            kept = self._kept[id(host)] = (host, target.put(host))
        return kept[1]

    def hold(self, host: Weight, on_device: DeviceWeight) -> None:
        """Use what lies on the device already for this weight."""
        self._kept[id(host)] = (host, on_device)

    def release(self) -> None:
        """Forget everything; the memory is free once no tensor and no graph refers to it."""
        self._kept.clear()
        self._stacks.clear()

    @property
    def size_bytes(self) -> int:
        """Device memory of all that was copied."""
        return sum(
            kept.size_bytes if isinstance(kept, DeviceWeight) else kept.numel() * kept.element_size()
            for _, kept in self._kept.values()
        )


def weight(host: Weight) -> DeviceWeight:
    """The weight on the device, of the model that runs; a copy of its own where none does."""
    current = _current.get()
    return weights.upload(host) if current is None else current.weight(host)


def stack(hosts: Sequence[Weight]) -> DeviceWeight | None:
    """Several weights as one, as `weight`; None where they cannot be."""
    current = _current.get()
    if current is not None:
        return current.stack(hosts)
    return weights.stack(hosts)[0] if weights.can_stack(hosts) else None


def vector(host: F32) -> Any:
    """A norm weight or bias on the device, as `weight`."""
    current = _current.get()
    return target.put(host) if current is None else current.vector(host)


def is_exact() -> bool:
    """Whether the model that runs takes float32 activations for every product."""
    current = _current.get()
    return current is not None and current.exact
