"""Whatever a child does, the parent returns in time, keeps little, and leaves no process behind.

A child that is forked from a process with libraries imported is held to the same.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pv.process.nursery import Nursery
from pv.process.supervise import Exit, Stopped, supervise

# A module for boot.py whose plugin runs `body` instead of any test; `send(kind, **fields)` reaches the parent.
PLUGIN = """
from pv.process.channel import Writer

def create(spec, descriptor):
    send = Writer(descriptor).send
    send("start")
{body}
    raise SystemExit(0)
"""


@pytest.fixture(params=["started", "forked"], scope="module")
def nursery(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery | None]:
    if request.param == "started":
        yield None
        return
    with Nursery(tmp_path_factory.mktemp("nursery"), ["numpy", "numpy.random"], {}) as nursery:
        yield nursery


class Watcher:
    def __init__(self, limit_s: float) -> None:
        self.records: list[dict[str, Any]] = []
        self.deadline = time.monotonic() + limit_s

    def record(self, record: dict[str, Any], now: float) -> None:
        assert now <= time.monotonic()
        self.records.append(record)


Run = Callable[..., tuple[Exit, Watcher]]


@pytest.fixture
def run(tmp_path: Path, nursery: Nursery | None) -> Run:
    def run(body: str, *, limit_s: float = 20.0, stop: threading.Event | None = None) -> tuple[Exit, Watcher]:
        (tmp_path / "body.py").write_text(PLUGIN.format(body=textwrap.indent(textwrap.dedent(body), "    ")))
        watcher = Watcher(limit_s)
        return supervise(tmp_path, {"plugin": "body", "args": []}, watcher, stop=stop, nursery=nursery), watcher

    return run


def is_alive(pid: int) -> bool:
    """A zombie that waits for init is dead."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_for_death(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not is_alive(pid)


def test_exit_and_records_and_output_are_kept(run: Run) -> None:
    end, watcher = run("send('value', x=1); print('last words'); raise SystemExit(3)")
    assert (end.code, end.timed_out, end.signal_name, end.broken) == (3, False, "", "")
    assert watcher.records == [{"kind": "start"}, {"kind": "value", "x": 1}]
    assert end.output == "last words\n"


def test_signal_is_named(run: Run) -> None:
    end, _ = run("import os; os.kill(os.getpid(), 9)")
    assert end.signal_name == "SIGKILL"


def test_time_limit_is_kept_by_the_parent(run: Run) -> None:
    began = time.monotonic()
    end, _ = run("import time; time.sleep(600)", limit_s=1.0)
    assert end.timed_out
    assert time.monotonic() - began < 3


def test_flood_of_output_keeps_only_its_end(run: Run) -> None:
    end, _ = run("import os\nfor i in range(200): os.write(1, b'x' * (1 << 20))\nos.write(2, b'the end')")
    assert end.code == 0
    assert end.output.endswith("x" * 100 + "the end")
    assert len(end.output) == 16 << 10


def test_grandchild_dies_with_the_group(run: Run) -> None:
    body = "import subprocess; send('pid', pid=subprocess.Popen(['sleep', '600']).pid)"
    end, watcher = run(body)
    assert end.code == 0
    assert wait_for_death(watcher.records[1]["pid"])


def test_grandchild_that_left_the_group_does_not_hold_up_the_parent(run: Run) -> None:
    body = "import subprocess; send('pid', pid=subprocess.Popen(['sleep', '600'], start_new_session=True).pid)"
    began = time.monotonic()
    end, watcher = run(body)
    os.kill(watcher.records[1]["pid"], signal.SIGKILL)
    assert end.code == 0
    assert time.monotonic() - began < 5


def test_stop_kills_the_child(run: Run) -> None:
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    with pytest.raises(Stopped):
        run("import time; time.sleep(600)", stop=stop)


def test_temporary_files_go_with_the_child(run: Run) -> None:
    body = "import os, tempfile; send('path', path=tempfile.mkdtemp()); os._exit(1)"
    _, watcher = run(body)
    assert not Path(watcher.records[1]["path"]).exists()


def test_descriptors_are_closed_and_none_leaks(run: Run) -> None:
    run("")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        run("")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_tests_cannot_hand_the_descriptors_on(run: Run) -> None:
    body = """
        import os
        numbers = [int(name) for name in os.listdir("/proc/self/fd")]
        existing = [number for number in numbers if os.path.exists(f"/proc/self/fd/{number}")]
        send("descriptors", inheritable=[number for number in existing if os.get_inheritable(number)])
    """
    _, watcher = run(body)
    assert watcher.records[1]["inheritable"] == [0, 1, 2]


PARENT = """
import sys, time
sys.path[:0] = {path!r}
from pathlib import Path
from pv.process.nursery import Nursery
from pv.process.supervise import supervise

class Watcher:
    deadline = time.monotonic() + 600
    def record(self, record, now):
        if record["kind"] == "pid":
            print(record["pid"], flush=True)

root = Path({root!r})
nursery = Nursery(root, [], {{}}) if {forked} else None
supervise(root, {{"plugin": "body", "args": []}}, Watcher(), nursery=nursery)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("forked", [False, True], ids=["started", "forked"])
def test_child_dies_with_its_parent(forked: bool, number: signal.Signals, tmp_path: Path) -> None:
    """The kernel sees to it: a parent killed by SIGKILL cleans nothing up."""
    body = "import os, time; send('pid', pid=os.getpid()); send('pid', pid=os.getppid()); time.sleep(600)"
    (tmp_path / "body.py").write_text(PLUGIN.format(body="    " + body))
    script = PARENT.format(path=[entry for entry in sys.path if entry], root=str(tmp_path), forked=forked)
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child, origin = int(parent.stdout.readline()), int(parent.stdout.readline())
    assert (origin != parent.pid) == forked
    parent.send_signal(number)
    _, errors = parent.communicate(timeout=10)
    assert parent.returncode != 0
    assert ("KeyboardInterrupt" in errors) == (number == signal.SIGINT)
    assert wait_for_death(child)
    assert wait_for_death(origin)
