"""A place without anything in it: Linux namespaces, a root of its own, no privileges.

    user, or for root a user id of its own    processes count against a limit that nobody else shares
    pid       when its first process ends, the kernel ends all others, whatever they did to survive
    net, ipc  nothing is reachable
    mount     an empty file system in memory; Python's library and the system's, read only; /dev/null; an empty /tmp

The visible root is a folder below the namespace's root, because a process in a changed root may not make user
namespaces, which would give it back rights over what is its own. There is no /proc.
Source: namespaces(7), user_namespaces(7), pivot_root(2), mount_setattr(2). Standard library only.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

_NEWNS, _NEWCGROUP, _NEWUTS, _NEWIPC = 0x00020000, 0x02000000, 0x04000000, 0x08000000
_NEWUSER, _NEWPID, _NEWNET = 0x10000000, 0x20000000, 0x40000000
_KINDS: Final = _NEWNS | _NEWCGROUP | _NEWUTS | _NEWIPC | _NEWPID | _NEWNET

_MS_NOSUID, _MS_NODEV, _MS_BIND, _MS_REC, _MS_PRIVATE = 2, 4, 4096, 16384, 1 << 18
_MNT_DETACH: Final = 2
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_SYS_MOUNT_SETATTR: Final = 442  # the same on every architecture
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_READ_ONLY: Final = 1 | 2 | 4  # MOUNT_ATTR_RDONLY, NOSUID, NODEV
_CAPABILITY_VERSION_3: Final = 0x20080522

_PLACE: Final = Path("/", "tmp")
"""It exists everywhere; what it holds is covered in this namespace alone."""
_ROOT_SIZE: Final = "size=64m,nr_inodes=4096,mode=0755"
# Far above the ids that people and subordinate ranges use.
_FIRST_ID: Final = 0x70000000

_libc: Final = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *args: Any) -> None:
    _checked(name, getattr(_libc, name)(*args))


def _checked(name: str, result: int) -> None:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


def die_with_parent() -> None:
    """The kernel ends this process when the one that started it ends."""
    _call("prctl", _PR_SET_PDEATHSIG, 9, 0, 0, 0)


def enter() -> None:
    """Leave the machine's namespaces; the next child is the first process of the new pid namespace.

    Raises:
        OSError: the system does not allow it.
    """
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        _call("unshare", _KINDS)
    else:
        _call("unshare", _KINDS | _NEWUSER)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"1000 {user} 1")
        Path("/proc/self/gid_map").write_text(f"1000 {group} 1")


def change_root(visible: Sequence[str], hidden: Sequence[str]) -> None:
    """Make the new root and go there; the working folder is its empty /tmp.

    Args:
        visible: folders to show, read only, at their own places; a link stays a link.
        hidden: folders inside those to cover with an empty one.

    Raises:
        OSError: a step was refused.
    """
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE)
    links = [path for path in visible if Path(path).is_symlink()]
    folders = [path for path in visible if path not in links]
    shown = [(path, os.open(path, os.O_PATH)) for path in [*folders, "/dev/null", "/dev/urandom"]]
    # What the place held is reached through the descriptors.
    _mount("tmpfs", str(_PLACE), "tmpfs", _MS_NOSUID | _MS_NODEV, _ROOT_SIZE)
    box = _PLACE / "box"
    (box / "tmp").mkdir(parents=True)
    (box / "tmp").chmod(0o777)
    for path, descriptor in shown:
        target = box / path.lstrip("/")
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):  # noqa: PTH112
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
        _mount(f"/proc/self/fd/{descriptor}", str(target), None, _MS_BIND | _MS_REC)
        if not path.startswith("/dev/"):
            _read_only(target)
        os.close(descriptor)
    for path in links:
        # Not a second way in: what is hidden below the one would be seen below the other.
        (box / path.lstrip("/")).symlink_to(Path(path).readlink())
    for path in hidden:
        target = box / path.lstrip("/")
        if target.is_dir():
            _mount("tmpfs", str(target), "tmpfs", _MS_NOSUID | _MS_NODEV, "size=4k,mode=0555")
    os.chdir(_PLACE)
    _call("pivot_root", b".", b".")
    _call("umount2", b".", _MNT_DETACH)
    os.chroot("/box")
    os.chdir("/tmp")


def give_up_privileges() -> None:
    """From here on this process, and whatever it starts, has no capability and can gain none."""
    if os.geteuid() == 0:
        # Limits on processes do not bind root, and count per user.
        user = _FIRST_ID + int.from_bytes(os.urandom(3), "little")
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    _call("capset", ctypes.byref(header), ctypes.byref((ctypes.c_uint32 * 6)()))


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    texts = [None if text is None else text.encode() for text in (source, target, kind, data)]
    _call("mount", *texts[:3], ctypes.c_ulong(flags), texts[3])


def _read_only(target: Path) -> None:
    attributes = (ctypes.c_uint64 * 4)(_READ_ONLY, 0, 0, 0)
    result = _libc.syscall(
        ctypes.c_long(_SYS_MOUNT_SETATTR),
        ctypes.c_int(_AT_FDCWD),
        str(target).encode(),
        ctypes.c_uint(_AT_RECURSIVE),
        ctypes.byref(attributes),
        ctypes.c_size_t(32),
    )
    _checked("mount_setattr", result)
