"""Which of these tests a process collects, as in tests/engine/ops/cuda: Triton interprets or compiles; and pictures are
drawn where matplotlib is installed.
"""

from __future__ import annotations

import os
from importlib.util import find_spec

_HAS_TRITON = find_spec("triton") is not None and find_spec("torch") is not None
_INTERPRETS = os.environ.get("TRITON_INTERPRET") == "1"

collect_ignore = []
if not (_HAS_TRITON and _INTERPRETS):
    collect_ignore.append("interpreted")
if not _HAS_TRITON or _INTERPRETS:
    collect_ignore += ["test_under_interpreter.py", "test_compiled.py"]
if find_spec("matplotlib") is None:
    collect_ignore.append("test_plot_drawn.py")
