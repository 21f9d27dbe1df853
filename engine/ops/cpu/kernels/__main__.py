"""A process that makes kernels for another one; see `engine.ops.cpu.maker`."""

import sys

from engine.ops.cpu.maker import child

if __name__ == "__main__":
    child(sys.argv[1:])
