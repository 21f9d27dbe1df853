"""RMS norms on the device."""

from __future__ import annotations

from engine.faults.cuda.seeding import Arguments, Seeded, launched_with, replaced


def norm_epsilon() -> Seeded:
    """Epsilon is 0.1 too large."""
    return replaced("resident", "rms_norm", lambda norm, x, weight, *, eps: norm(x, weight, eps=eps + 0.1))


def norm_weight_dropped() -> Seeded:
    """Rows are normalised and not scaled."""

    def wrong(arguments: Arguments) -> Arguments:
        return {"weight": arguments["weight"] * 0 + 1}

    return launched_with(wrong, "rms_norm")
