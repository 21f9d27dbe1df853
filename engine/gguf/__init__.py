"""The GGUF container: bytes -> metadata and tensor infos, every offset checked."""

from __future__ import annotations
