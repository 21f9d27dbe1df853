"""Seeded faults."""

from contextlib import contextmanager


@contextmanager
def rope_on_q_only():
    yield
