"""Training tests are collected where the train extra is installed; everything else here is standard library."""

from __future__ import annotations

from importlib.util import find_spec

_NEEDS_TRAIN_EXTRA = ["test_train.py", "test_export.py"]
collect_ignore = [] if find_spec("torch") and find_spec("gguf") else _NEEDS_TRAIN_EXTRA
