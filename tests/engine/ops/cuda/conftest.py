"""Which of these tests a process collects: Triton interprets or compiles, decided when it is imported.

TRITON_INTERPRET=1          interpreted/, on the host; `test_under_interpreter.py` starts such a process
unset, triton installed     the rest of this folder: the compile gate needs no GPU
triton not installed        `test_unavailable.py` alone
"""

from __future__ import annotations

import os
from importlib.util import find_spec

COMPILING = [
    "test_compiled.py",
    "test_configs.py",
    "test_shown_launches.py",
    "test_sources.py",
    "test_under_interpreter.py",
    "test_workspace.py",
]
if find_spec("triton") is None or find_spec("torch") is None:
    collect_ignore = ["interpreted", *COMPILING]
elif os.environ.get("TRITON_INTERPRET") == "1":
    collect_ignore = [*COMPILING, "test_unavailable.py"]
else:
    collect_ignore = ["interpreted"]
