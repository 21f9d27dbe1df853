"""What every test takes for granted."""

import signal

import pytest

# A shell starts background jobs with SIGINT ignored, and children inherit that: tests of Ctrl-C would test nothing.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, so that with several processes none waits for it at the end."""
    items.sort(key=lambda item: "test_under_interpreter" not in item.nodeid)
