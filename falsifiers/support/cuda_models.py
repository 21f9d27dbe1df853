"""Whole models on the device for falsifiers: how much of a model is run where, and how it is loaded.

On a GPU the model under test runs whole. Under the interpreter, where a token of six layers takes seconds, two layers
of it run over few tokens, and the evidence names them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.gguf.reader import open_gguf
from engine.llm import Llm
from engine.models import load_model
from engine.models.on_device import OnDevice
from falsifiers.support import cuda, model_cut, prompts
from falsifiers.support.recorder import Recorder


@dataclass(frozen=True)
class Extent:
    """How much of a model is run."""

    prompts: int
    tokens: int
    """Of a prompt, its last ones; more than 8, so that prefill takes its own kernels."""
    steps: int
    """Of greedy decode beside the CPU."""
    alone: int
    """Tokens of a prompt that run one by one as well, its first ones."""
    graph_steps: int
    repeat_tokens: int
    repeat_steps: int
    processes: int


ON_GPU = Extent(
    prompts=4, tokens=24, steps=64, alone=24, graph_steps=32, repeat_tokens=24, repeat_steps=16, processes=5
)
INTERPRETED = Extent(prompts=1, tokens=9, steps=4, alone=4, graph_steps=2, repeat_tokens=1, repeat_steps=1, processes=2)
CONTEXT = 64
"""Positions of a model under the interpreter: more than any extent takes."""


def extent(pv: Recorder) -> Extent:
    """Skips where kernels are compiled only."""
    cuda.needs_run(pv)
    return INTERPRETED if cuda.is_interpreted() else ON_GPU


@contextmanager
def model_under_test(pv: Recorder) -> Iterator[Path]:
    """The model given; under the interpreter a few of its layers, and the evidence says which."""
    if not cuda.is_interpreted():
        yield pv.model
        return
    with model_cut.few_layers(pv.model, CONTEXT) as path:
        with open_gguf(pv.model) as file:
            said = {"model": pv.model.name, "layers": model_cut.layers(file), "context_length": CONTEXT}
        pv.attach("model.json", json.dumps(said).encode())
        yield path


@contextmanager
def on_device(path: Path, *, graph: bool = True) -> Iterator[OnDevice]:
    with cuda.few_programs(), open_gguf(path) as file:
        model = OnDevice(file, load_model, graph=graph)
        try:
            yield model
        finally:
            model.release()


@contextmanager
def on_cpu(path: Path) -> Iterator[Llm]:
    with Llm.load(path) as llm:
        yield llm


def question(llm: Llm, number: int, tokens: int) -> list[int]:
    return prompts.ids(llm, prompts.QUESTIONS[number])[-tokens:]


@contextmanager
def beside_the_cpu(pv: Recorder, *, graph: bool = True) -> Iterator[tuple[Llm, OnDevice]]:
    """The model under test on both sides; states where it ran."""
    with model_under_test(pv) as path, on_cpu(path) as llm, on_device(path, graph=graph) as model, cuda.recorded(pv):
        yield llm, model
