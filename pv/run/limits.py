"""How long the parent waits for what is not a falsifier's test; its own limit is for its tests alone."""

from __future__ import annotations

START_LIMIT_S = 60.0
"""Least limit from the start of the process to the first test file: Python, pytest and the project's conftests."""
IMPORT_LIMIT_S = 30.0
"""Least limit for the import of each test file."""
EXIT_GRACE_S = 20.0
"""From the last test, or from the end record, to the end of the process; with a compiler in it that is slow."""
