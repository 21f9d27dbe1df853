"""Factors and terms on the device."""

from __future__ import annotations

from engine.faults.cuda.seeding import Arguments, Seeded, launched_with, replaced


def bias_doubled() -> Seeded:
    """A bias is added twice."""
    return replaced("resident", "add_bias", lambda add, x, bias: add(add(x, bias), bias))


def attention_scale_dropped() -> Seeded:
    """Attention kernels are given log2(e) for their scale, without 1 / sqrt(Dh)."""

    def wrong(arguments: Arguments) -> Arguments:
        return {"scale": arguments["scale"] * arguments["head_dim"] ** 0.5}

    return launched_with(wrong, "attention_prefill", "attention_decode")
