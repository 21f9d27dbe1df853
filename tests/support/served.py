"""`q4k serve` as a subprocess, and clients that speak to it: OpenAI's own, and plain bytes."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from openai import OpenAI

from support.q4k import start

ENDED_S = 20


@dataclass
class Server:
    """One running server."""

    process: subprocess.Popen[bytes]
    url: str
    model: str

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        assert parts.hostname
        assert parts.port
        return parts.hostname, parts.port

    def client(self) -> OpenAI:
        """OpenAI's client; it does not try again by itself."""
        return OpenAI(base_url=self.url, api_key="none", max_retries=0, timeout=ENDED_S)

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], Any]:
        """Status, headers and JSON body of one request."""
        connection = http.client.HTTPConnection(*self.address, timeout=ENDED_S)
        try:
            connection.request(method, path, body, {"content-type": "application/json", **(headers or {})})
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return response.status, found, json.loads(response.read())
        finally:
            connection.close()

    def post(self, path: str, fields: Any) -> tuple[int, Any]:
        """Status and body of a JSON request."""
        status, _, body = self.request("POST", path, json.dumps(fields).encode())
        return status, body

    def health(self) -> dict[str, Any]:
        body: dict[str, Any] = self.request("GET", "/health")[2]
        return body

    def begin(self, fields: dict[str, Any], path: str = "/v1/chat/completions") -> socket.socket:
        """Send a request, and leave its answer to the caller; the socket may be closed at any time."""
        body = json.dumps(fields).encode()
        head = f"POST {path} HTTP/1.1\r\nhost: {self.address[0]}\r\ncontent-type: application/json\r\n"
        sock = socket.create_connection(self.address, timeout=ENDED_S)
        sock.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        return sock

    def interrupt(self, number: int = signal.SIGINT) -> tuple[int, str]:
        """Send a signal and wait; exit code, and the rest of stderr."""
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=ENDED_S)
        return self.process.returncode, err.decode()


@contextmanager
def serving(model: Path, *args: str) -> Iterator[Server]:
    """Run a server on a free port of loopback, with the slow and simple backend unless told otherwise."""
    process = start("serve", model, "--port", "0", "--backend", "reference", *args)
    try:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line.decode())
            if found := re.search(r"listening on (http://\S+)", lines[-1]):
                yield Server(process, found[1], model.stem)
                break
        else:
            raise AssertionError(f"the server did not start: {lines}")
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()
