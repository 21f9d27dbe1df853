"""Mapped files that shrink: the read that would kill the process gives zeros instead, and the map knows.

A page of a mapped file that is no longer in the file, or that its disk cannot read, raises SIGBUS at the instruction
that reads it. The handler here puts pages of zeros in place of the rest of that map, so that the instruction is
repeated and goes on; `GuardedMap.lost` is true from then on, and no result of such a read may be used. A SIGBUS from
anywhere else goes where it went before. Linux only; elsewhere a map is as any other.

The signal comes from the thread's own load instruction, never in the middle of the interpreter's or the allocator's
work, so that the handler may be a Python function: it waits for the interpreter lock if the thread does not hold it.

    struct sigaction    handler (pointer), sa_mask (1024 bits), sa_flags (int), sa_restorer (pointer)
    siginfo_t           si_signo, si_errno, si_code (ints), at byte 16 si_addr (pointer)

Source: sigaction(2), mmap(2), bits/types/struct_sigaction.h and siginfo_t of glibc; 64-bit machines.
"""

from __future__ import annotations

import ctypes
import mmap
import signal
import sys
import weakref
from typing import Any, Final

import numpy as np
import numpy.typing as npt

_SA_SIGINFO: Final = 4
_MAP_FIXED: Final = 0x10
_FAILED: Final = ctypes.c_void_p(-1).value
_IS_GUARDED: Final = sys.platform == "linux" and ctypes.sizeof(ctypes.c_void_p) == 8


class _Action(ctypes.Structure):
    _fields_ = (
        ("handler", ctypes.c_void_p),
        ("mask", ctypes.c_uint64 * 16),
        ("flags", ctypes.c_int),
        ("restorer", ctypes.c_void_p),
    )


class _Info(ctypes.Structure):
    _fields_ = (
        ("signo", ctypes.c_int),
        ("errno", ctypes.c_int),
        ("code", ctypes.c_int),
        ("padding", ctypes.c_int),
        ("address", ctypes.c_uint64),
    )


_Handler: Final = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.POINTER(_Info), ctypes.c_void_p)


class GuardedMap:
    """A whole file, mapped read-only.

    Attributes:
        bytes: all of it; a view of them keeps the map.
        lost: some of it could not be read since it was mapped.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        """
        Raises:
            ValueError: the file is shorter than `size` bytes.
        """
        mapped = mmap.mmap(descriptor, size, access=mmap.ACCESS_READ)
        self.bytes: npt.NDArray[np.uint8] = np.frombuffer(mapped, np.uint8)
        self._lost: list[int] = []
        if _IS_GUARDED:
            _guard.watch(mapped, self.bytes.ctypes.data, len(mapped), self._lost)

    @property
    def lost(self) -> bool:
        return bool(self._lost)


class _Guard:
    """The handler of this process, installed with the first map."""

    def __init__(self) -> None:
        self._watched: dict[int, tuple[int, list[int]]] = {}
        self._before = _Action()
        self._handler: Any = None

    def watch(self, mapped: mmap.mmap, start: int, size: int, lost: list[int]) -> None:
        """Answer for these addresses until the map goes; the first address that could not be read goes into `lost`."""
        if self._handler is None:
            self._install()
        self._watched[start] = (-(-size // mmap.PAGESIZE) * mmap.PAGESIZE, lost)
        weakref.finalize(mapped, self._watched.pop, start, None).atexit = False

    def _install(self) -> None:
        libc = ctypes.CDLL(None)
        self._mmap: Any = libc.mmap
        self._mmap.restype = ctypes.c_void_p
        self._mmap.argtypes = (
            ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long,
        )  # fmt: skip
        self._sigaction: Any = libc.sigaction
        self._raise: Any = getattr(libc, "raise")
        self._handler = _Handler(self._on_bus_error)
        action = _Action(handler=ctypes.cast(self._handler, ctypes.c_void_p), flags=_SA_SIGINFO)
        self._sigaction(signal.SIGBUS, ctypes.byref(action), ctypes.byref(self._before))

    def _on_bus_error(self, number: int, info: Any, _context: Any) -> None:
        by_a_read = info.contents.code > 0
        if by_a_read and self._replace(info.contents.address):
            return
        self._sigaction(number, ctypes.byref(self._before), None)
        if not by_a_read:
            self._raise(number)  # it was sent, so it would not come again by itself

    def _replace(self, address: int) -> bool:
        for start, (size, lost) in list(self._watched.items()):
            if start <= address < start + size:
                page = address - address % mmap.PAGESIZE
                lost.append(address - start)
                flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_FIXED
                return bool(self._mmap(page, start + size - page, mmap.PROT_READ, flags, -1, 0) != _FAILED)
        return False


_guard = _Guard()
