"""Which of these tests a process collects: Triton interprets or compiles, decided when it is imported.

TRITON_INTERPRET=1          interpreted/, on the host; `test_under_interpreter.py` starts such a process
unset, triton installed     the rest of this folder: the compile gate needs no GPU
triton not installed        `test_unavailable.py` alone
"""

from __future__ import annotations

import os
from importlib.util import find_spec

if find_spec("triton") is None or find_spec("torch") is None:
    collect_ignore = ["interpreted", "test_compiled.py", "test_configs.py", "test_under_interpreter.py"]
elif os.environ.get("TRITON_INTERPRET") == "1":
    collect_ignore = ["test_compiled.py", "test_configs.py", "test_under_interpreter.py", "test_unavailable.py"]
else:
    collect_ignore = ["interpreted"]
