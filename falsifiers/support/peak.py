"""Memory of a process that asks a small model and then a large one: what the large one added."""

from __future__ import annotations

from pathlib import Path

CHUNK, PROMPT, DECODED = 64, 64, 4


def ask(small: Path, large: Path, precision: str) -> dict[str, int]:
    """Bytes: resident with the small model, the most with the large one, its KV cache, its weights. Linux only."""
    _answer(small, precision)
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts again from what is resident now
    kv, weights = _answer(large, precision)
    return {"before": before, "peak": _status("VmHWM"), "kv": kv, "large_weights": weights}


def _answer(path: Path, precision: str) -> tuple[int, int]:
    from engine.llm import Llm

    with Llm.load(path, precision=precision) as llm:
        size = llm.model.config.vocab_size
        llm.model.forward([number % size for number in range(PROMPT)], llm.kv_cache, last_only=True)
        for token_id in range(DECODED):
            llm.model.forward([token_id], llm.kv_cache)
        held = sum(info.size_bytes for info in llm.file.tensors.values())
        return llm.kv_cache.size_bytes, held


def _status(name: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024
