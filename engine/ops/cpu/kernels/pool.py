"""How the threads of `engine.ops.cpu.pool` share the parts of a job. Their state is an array of words:

word 0  ticket   generation << 40 | parts << 20 | next part      one atomic addition takes a part
word 8  done     parts finished
word 16 function address of a kernel of two arguments
word 17 address  its first argument; the second is the part
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

from collections.abc import Callable

from engine.ops.cpu.kernels.compile import inlined
from engine.ops.cpu.kernels.llvm import add_word, breathe, call_address, read_word, write_word

# The first two are 64 bytes apart: takers of parts and finishers do not share a cache line.
TICKET, DONE, FUNCTION, ADDRESS = 0, 8, 16, 17


@inlined
def _take_parts(state: int) -> int:
    """Run parts of the current job until none is left; their number."""
    count = 0
    while True:
        ticket = read_word(state, TICKET)
        if (ticket & 0xFFFFF) >= ((ticket >> 20) & 0xFFFFF):
            return count
        ticket = add_word(state, TICKET, 1)
        part = ticket & 0xFFFFF
        if part >= ((ticket >> 20) & 0xFFFFF):
            return count
        call_address(read_word(state, FUNCTION), read_word(state, ADDRESS), part)
        add_word(state, DONE, 1)
        count += 1


@inlined
def _share(state: int, function: int, arguments: int, parts: int) -> None:
    """Publish a job, help with it, and wait for its last part."""
    write_word(state, DONE, 0)
    write_word(state, FUNCTION, function)
    write_word(state, ADDRESS, arguments)
    generation = (read_word(state, TICKET) >> 40) + 1
    write_word(state, TICKET, (generation & 0x3FFFFF) << 40 | parts << 20)
    _take_parts(state)
    while read_word(state, DONE) < parts:
        breathe()


def serve() -> Callable[[int, int], int]:
    """Help with every job until there was none for `looks` looks; parts run."""

    def run(state: int, looks: int) -> int:
        count, idle = 0, 0
        while idle < looks:
            found = _take_parts(state)
            if found:
                count += found
                idle = 0
            else:
                breathe()
                idle += 1
        return count

    return run


def share() -> Callable[[int, int, int, int], None]:
    """Run one job: state, function, arguments, parts."""

    def run(state: int, function: int, arguments: int, parts: int) -> None:
        _share(state, function, arguments, parts)

    return run


def share_all() -> Callable[[int, int, int], None]:
    """Run `count` jobs, three words each: function, arguments, parts."""

    def run(state: int, stages: int, count: int) -> None:
        for stage in range(count):
            function = read_word(stages, 3 * stage)
            arguments, parts = read_word(stages, 3 * stage + 1), read_word(stages, 3 * stage + 2)
            if parts == 1:
                call_address(function, arguments, 0)
            else:
                _share(state, function, arguments, parts)

    return run
