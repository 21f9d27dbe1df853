"""Challenging falsifiers with seeded faults."""

from __future__ import annotations

from pv.challenge.batch import challenge, challenge_jobs

__all__ = ["challenge", "challenge_jobs"]
