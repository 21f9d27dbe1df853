"""Q4_K GGUF inference: numpy is the definition, numba and Triton are the fast paths.

Import what you need from the submodules; importing `engine` alone loads nothing heavy.
"""

from __future__ import annotations

FEW_COLLECTIONS = (100_000, 50, 50)
"""Thresholds of Python's collector for a process that loads a model: importing numba makes a million objects that all
stay, and looking at them again and again takes a sixth of the start."""
