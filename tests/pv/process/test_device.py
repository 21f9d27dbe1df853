"""One process of ours on a device at a time, by a lock that dies with its holder."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pv.errors import RunError
from pv.process import device
from pv.process.device import leased, needs_device, visible_devices
from pv.process.supervise import Stopped


@pytest.fixture
def nodes(tmp_path: Path) -> Path:
    """Like /dev of a machine with three devices, of which this container has two."""
    folder = tmp_path / "dev"
    folder.mkdir()
    for name in ("nvidia0", "nvidia2", "nvidiactl", "nvidia-uvm", "null"):
        (folder / name).touch()
    return folder


def test_only_a_device_needs_a_lease() -> None:
    targets = ("cpu", "cuda", "cuda:sm_90", "cuda-interpreted", "cuda-compiled")
    assert [needs_device(target) for target in targets] == [False, True, True, False, False]


@pytest.mark.parametrize(
    ("listed", "devices"),
    [
        (None, ("0", "1")),
        ("", ()),
        ("3", ("3",)),
        ("3, 1", ("3", "1")),
        ("1,-1,0", ("1",)),
        ("1,,0", ("1",)),
        ("GPU-8f3a,MIG-2c41", ("GPU-8f3a", "MIG-2c41")),
        ("2,2", ("2",)),
    ],
)
def test_visible_list_is_read_as_cuda_reads_it(listed: str | None, devices: tuple[str, ...], nodes: Path) -> None:
    environment = {} if listed is None else {"CUDA_VISIBLE_DEVICES": listed}
    assert visible_devices(environment, nodes) == devices


def test_two_leases_are_two_devices_and_a_third_waits(tmp_path: Path) -> None:
    environment = {"CUDA_VISIBLE_DEVICES": "5,7"}
    stop = threading.Event()
    with leased("cuda", environment=environment, folder=tmp_path) as first:
        with leased("cuda:sm_90", environment=environment, folder=tmp_path) as second:
            assert (first, second) == ({"CUDA_VISIBLE_DEVICES": "5"}, {"CUDA_VISIBLE_DEVICES": "7"})
            threading.Timer(0.3, stop.set).start()
            with pytest.raises(Stopped), leased("cuda", environment=environment, folder=tmp_path, stop=stop):
                pass
        with leased("cuda", environment=environment, folder=tmp_path) as third:
            assert third == second


def test_wait_ends_when_the_holder_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom pv.process.device import leased\n"
        "with leased('cuda', environment={'CUDA_VISIBLE_DEVICES': '0'}, folder=Path(sys.argv[1])):\n"
        "    print('held', flush=True)\n    time.sleep(100)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    threading.Timer(0.4, holder.kill).start()
    began = time.monotonic()
    with leased("cuda", environment={"CUDA_VISIBLE_DEVICES": "0"}, folder=tmp_path):
        assert time.monotonic() - began > 0.2
    holder.wait()


def test_device_in_use_for_too_long_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "WAIT_LIMIT_S", 0.2)
    environment = {"CUDA_VISIBLE_DEVICES": "0"}
    with (
        leased("cuda", environment=environment, folder=tmp_path),
        pytest.raises(RunError, match=r"device 0: in use by other runs of pv for 0\.2 s"),
        leased("cuda", environment=environment, folder=tmp_path),
    ):
        pass


@pytest.mark.parametrize("target", ["cpu", "cuda-interpreted", "cuda-compiled"])
def test_other_targets_see_what_the_caller_sees(target: str, tmp_path: Path) -> None:
    with leased(target, environment={"CUDA_VISIBLE_DEVICES": "0,1"}, folder=tmp_path) as given:
        assert given == {}
    assert list(tmp_path.iterdir()) == []


def test_no_visible_device_is_nothing_to_lease(tmp_path: Path) -> None:
    with leased("cuda", environment={"CUDA_VISIBLE_DEVICES": ""}, folder=tmp_path) as given:
        assert given == {}


def test_locks_are_in_a_folder_of_this_user(tmp_path: Path) -> None:
    environment = {"CUDA_VISIBLE_DEVICES": "0", "XDG_RUNTIME_DIR": str(tmp_path)}
    with leased("cuda", environment=environment):
        (folder,) = tmp_path.iterdir()
        assert folder.stat().st_mode & 0o777 == 0o700
        assert [path.suffix for path in folder.iterdir()] == [".lock"]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder.rename(tmp_path / "kept")
    folder.symlink_to(elsewhere)
    with pytest.raises(RunError, match="belongs to somebody else"), leased("cuda", environment=environment):
        pass
