"""The seeded fault that every exhibit should catch, and does not."""

from contextlib import contextmanager

import subject


@contextmanager
def wrong_double():
    right = subject.double
    subject.double = lambda x: right(x) + 1
    try:
        yield
    finally:
        subject.double = right


@contextmanager
def nan_double():
    right = subject.double
    subject.double = lambda x: float("nan")
    try:
        yield
    finally:
        subject.double = right
