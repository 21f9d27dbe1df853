"""What execnet starts in the place of a worker: hands its two pipes to the supervisor, and stays until the worker ends.

    python -I -S handover.py FOLDER ...     connects to FOLDER/socket; the rest is execnet's and is ignored

The standard library alone, and little of it: one of these starts for every worker.
"""

from __future__ import annotations

import os
import socket
import sys

SOCKET = "socket"


def main(folder: str) -> None:
    # A path in full may be longer than the 107 bytes that the address of a socket can have (unix(7)).
    os.chdir(folder)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(SOCKET)
        socket.send_fds(connection, [b"2"], [0, 1])
        # Only the worker may hold them: when it ends, the controller has to see it.
        os.close(0)
        os.close(1)
        connection.recv(1)


if __name__ == "__main__":
    main(sys.argv[1])
