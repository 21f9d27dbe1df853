"""The seeded fault that every exhibit should catch, and does not."""

from contextlib import contextmanager

import pytest
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


@contextmanager
def assertion_instead():
    """Raises what a failing assertion raises, so that every test that calls the subject looks like one that sees."""
    right = subject.double

    def refuse(x):
        raise AssertionError("wrong")

    subject.double = refuse
    try:
        yield
    finally:
        subject.double = right


@contextmanager
def failure_instead():
    right = subject.double
    subject.double = lambda x: pytest.fail("wrong")
    try:
        yield
    finally:
        subject.double = right
