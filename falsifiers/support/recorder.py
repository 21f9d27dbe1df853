"""What a falsifier uses of pytest's fixture `pv`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, SupportsFloat


class Recorder(Protocol):
    @property
    def target(self) -> str: ...

    @property
    def model(self) -> Path: ...

    def record(
        self,
        name: str,
        value: SupportsFloat,
        limit: SupportsFloat | None = None,
        unit: str = "1",
        bound: str = "at_most",
    ) -> None: ...

    def attach(self, name: str, content: bytes | Path | str) -> None: ...

    def ran_on(self, device: Mapping[str, object]) -> None: ...
