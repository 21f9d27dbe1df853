"""A long prompt whose client leaves: what is left of it is not run."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from engine import generate
from engine.llm import Llm
from engine.serve.errors import ApiError
from engine.serve.fields import parse
from engine.serve.worker import Worker
from support import tiny_qwen2


@pytest.mark.parametrize("how", ["client leaves", "server ends"])
def test_a_prompt_is_left_within_its_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """20 chunks; the second one waits until nobody wants the answer, and is the last that runs."""
    monkeypatch.setattr(generate, "PREFILL_CHUNK", 5)
    second, unwanted = threading.Event(), threading.Event()
    chunks: list[int] = []
    asked = parse("completion", {"model": "m", "prompt": "x" * 100}, model="m", max_tokens=4)

    with Llm.load(tiny_qwen2.write_tiny(tmp_path / "m.gguf"), backend="reference") as llm:
        llm.generate("hi", max_tokens=1)
        forward = llm.model.forward

        def slow(token_ids: Any, *arguments: Any, **options: Any) -> Any:
            chunks.append(len(token_ids))
            if len(chunks) == 2:
                second.set()
                assert unwanted.wait(10)
            return forward(token_ids, *arguments, **options)

        monkeypatch.setattr(llm.model, "forward", slow)

        async def ask(worker: Worker) -> None:
            async with worker.events(asked) as events:
                await asyncio.to_thread(second.wait, 10)
                if how == "server ends":
                    worker.stop()
                    unwanted.set()
                    with pytest.raises(ApiError, match="the server is shutting down"):
                        await anext(events)
            unwanted.set()
            while worker.running:
                await asyncio.sleep(0.001)

        async def run() -> None:
            worker = Worker(llm, 1)
            try:
                await asyncio.wait_for(ask(worker), 20)
            finally:
                unwanted.set()
                worker.close()

        asyncio.run(run())
    assert chunks == [5, 5]
