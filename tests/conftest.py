"""What every test takes for granted."""

import os
import signal

import pytest

# Tests run side by side, and on small matrices the threads of these libraries mostly wait for each other: half of the
# processor time of the tests that compare with numpy and torch. Set before either is imported; children inherit it.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

# A shell starts background jobs with SIGINT ignored, and children inherit that: tests of Ctrl-C would test nothing.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, so that with several processes none waits for it at the end."""
    items.sort(key=lambda item: "test_under_interpreter" not in item.nodeid)
