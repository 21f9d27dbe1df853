"""A forked child starts in the same state as any other, except for the libraries that are imported already."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pv.process.nursery import Nursery
from pv.process.supervise import Exit, supervise

BODY = """
from pv.process.channel import Writer

def create(spec, descriptor):
    send = Writer(descriptor).send
{body}
    raise SystemExit(0)
"""

STATE = """
    import os, resource, signal, sys, threading
    environment = {name: value for name, value in os.environ.items() if name != "TMPDIR"}
    limits = [resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name.startswith("RLIMIT_")]
    signals = [str(signal.getsignal(number)) for number in sorted(signal.valid_signals())]
    send("state", environment=environment, cwd=os.getcwd(), path=sys.path, argv=sys.argv, flags=list(sys.flags),
         limits=limits, signals=signals, leads=os.getsid(0) == os.getpgrp() == os.getpid(),
         threads=threading.active_count(), umask=os.umask(0o22), main=sys.modules["__main__"].__file__,
         descriptors=sorted(int(name) for name in os.listdir("/proc/self/fd"))[:3], stdin=os.read(0, 1).decode(),
         tty=sys.stdout.isatty(), hashed=hash("text"), encoding=sys.stdout.encoding)
"""


class Watcher:
    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.deadline = time.monotonic() + 20

    def record(self, record: dict[str, Any], _now: float) -> None:
        self.records.append(record)


def run(root: Path, body: str, nursery: Nursery | None) -> tuple[Exit, list[dict[str, Any]]]:
    (root / "body.py").write_text(BODY.format(body=textwrap.indent(textwrap.dedent(body), "    ")))
    watcher = Watcher()
    return supervise(root, {"plugin": "body", "args": []}, watcher, nursery=nursery), watcher.records


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("project")


@pytest.fixture(scope="module")
def nursery(root: Path) -> Iterator[Nursery]:
    with Nursery(root, ["numpy", "numpy.random"], {}) as nursery:
        yield nursery


def test_state_is_that_of_a_started_child(root: Path, nursery: Nursery) -> None:
    (_, [forked]), (_, [started]) = run(root, STATE, nursery), run(root, STATE, None)
    assert forked == started
    assert forked["leads"]


def test_libraries_are_imported_already_and_in_no_other_child(root: Path, nursery: Nursery) -> None:
    body = (
        "import sys; send('seen', modules=sorted({'numpy', 'json.tool', 'body'} & set(sys.modules))); import json.tool"
    )
    assert [run(root, body, nursery)[1] for _ in range(2)] == [[{"kind": "seen", "modules": ["body", "numpy"]}]] * 2


def test_random_numbers_differ_between_children(root: Path, nursery: Nursery) -> None:
    body = "import random, numpy; send('draw', own=random.random(), numpy=float(numpy.random.random()))"
    [[one], [other]] = [run(root, body, nursery)[1] for _ in range(2)]
    assert one["own"] != other["own"]
    assert one["numpy"] != other["numpy"]


def test_temporary_files_lie_in_a_folder_of_the_child(root: Path, nursery: Nursery) -> None:
    body = "import os, tempfile; send('made', made=tempfile.mkdtemp(), folder=os.environ['TMPDIR'])"
    _, [made] = run(root, body, nursery)
    assert Path(made["made"]).parent == Path(made["folder"])
    assert not Path(made["folder"]).exists()


def test_nothing_of_a_project_is_imported_early(root: Path) -> None:
    (root / "of_the_project.py").write_text("import pathlib; pathlib.Path('imported').touch()")
    with Nursery(root, ["of_the_project", "engine.errors", "body", "no.such.module", "numpy"], {}) as nursery:
        body = "import sys; send('seen', modules=sorted({'of_the_project', 'engine', 'numpy'} & set(sys.modules)))"
        assert run(root, body, nursery)[1] == [{"kind": "seen", "modules": ["numpy"]}]
    assert not (root / "imported").exists()


def test_child_that_kills_where_it_comes_from_proves_nothing(root: Path) -> None:
    with Nursery(root, [], {}) as nursery:
        end, _ = run(root, "import os, time; os.kill(os.getppid(), 9); time.sleep(0.3)", nursery)
        assert end.broken == "the process that forked it is gone"
        end, records = run(root, "import os; send('alive'); raise SystemExit(3)", nursery)
    assert (end.code, end.broken, records) == (3, "", [{"kind": "alive"}])


def test_nothing_is_left_behind(root: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with Nursery(root, [], {}) as nursery:
        _, [seen] = run(root, "import os; send('seen', pid=os.getppid())", nursery)
        assert Path(f"/proc/{seen['pid']}").exists()
    assert not Path(f"/proc/{seen['pid']}").exists()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
