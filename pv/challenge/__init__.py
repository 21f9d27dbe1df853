"""Challenging falsifiers with seeded faults."""

from __future__ import annotations

from pv.challenge.batch import Challenges, challenge, challenge_jobs

__all__ = ["Challenges", "challenge", "challenge_jobs"]
