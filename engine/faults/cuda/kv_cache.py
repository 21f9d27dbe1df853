"""Keys and values on the device."""

from __future__ import annotations

from typing import Any

from engine.faults.cuda.seeding import Arguments, Seeded, launched_with, module, replaced, seeded


def graph_keeps_its_position() -> Seeded:
    """A replay takes the position of the capture, not the next one."""
    first: list[int] = []

    def stuck(set_inputs: Any, token_id: int, position: int) -> Any:
        first.append(position)
        return set_inputs(token_id, first[0])

    return replaced("graph", "_set_inputs", stuck)


def keys_and_values_exchanged() -> Seeded:
    """Keys are written where values belong, and values where keys belong."""

    def wrong(arguments: Arguments) -> Arguments:
        return {"keys": arguments["values"], "values": arguments["keys"]}

    return launched_with(wrong, "rope_append", "kv_append")


def one_layer_for_all() -> Seeded:
    """Every layer writes to, and reads, the first one's place."""

    def wrong(view: Any, cache: Any, layer: int) -> Any:
        del layer
        return view(cache, 0)

    return seeded((module("kv_cache").DeviceKvCache, "view", wrong))
