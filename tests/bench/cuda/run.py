"""Everything that needs a GPU, in one call: falsifiers on target cuda, then speeds.

    python tests/bench/cuda/run.py                       discharge, kernels, the bundled model
    python tests/bench/cuda/run.py --no-discharge        speeds alone; needs torch, triton and numpy, no pv
    python tests/bench/cuda/run.py --model PATH          another model

Where the project is not installed, set PYTHONPATH to its root.

Times are medians over CUDA events; weights are random, rotated among sets that together exceed the L2 cache. The read
bandwidth that shares refer to is measured first, by a copy of two gigabytes. Ends with status 1 if a falsifier did not
pass, and 4 where there is no GPU.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.errors import BackendError
from engine.gguf.reader import open_gguf
from engine.gguf.types import GgmlType
from engine.llm import teacher_path
from engine.models import load_model
from engine.models.on_device import OnDevice

ROOT = Path(__file__).resolve().parents[3]

# rows, columns and type of the products of one decode step of Qwen2.5-7B in the mix Q4_K_M, by where they occur
MATRICES = {
    "attn_q, attn_output": (3584, 3584, GgmlType.Q4_K),
    "attn_k, attn_v": (512, 3584, GgmlType.Q4_K),
    "attn_v": (512, 3584, GgmlType.Q6_K),
    "ffn_gate, ffn_up": (18944, 3584, GgmlType.Q4_K),
    "ffn_down": (3584, 18944, GgmlType.Q4_K),
    "ffn_down (more bits)": (3584, 18944, GgmlType.Q6_K),
    "output": (152064, 3584, GgmlType.Q6_K),
}
_L2_BYTES = 256 << 20
"""More than any L2 cache; weight sets rotate until they exceed it."""


def seconds(run: Callable[[int], Any], *, repeats: int = 50) -> float:
    """Median time of run(i) on the device; ten runs first load and warm."""
    import torch

    for number in range(10):
        run(number)
    times = []
    for number in range(repeats):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        run(number)
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) / 1e3)
    return statistics.median(times)


def bandwidth() -> float:
    """Bytes per second of a device-to-device copy, read and written bytes together."""
    import torch

    source = torch.empty(1 << 30, dtype=torch.uint8, device="cuda").random_()
    copy = torch.empty_like(source)
    return 2 * source.numel() / seconds(lambda _: copy.copy_(source))


def products(read: float) -> None:
    """One line for each matrix of a decode step, and for prefill of 512 tokens."""
    import torch

    from engine.ops.cuda import products as kernels
    from engine.ops.cuda import weights

    for name, (rows, columns, kind) in MATRICES.items():
        count = max(1, _L2_BYTES // (rows * columns // 2))
        sets = [_random(weights.empty(name, kind, (rows, columns))) for _ in range(min(count, 64))]
        x = torch.randn((1, columns), device="cuda")
        taken = seconds(lambda i, x=x, sets=sets: kernels.matmul(x.clone(), sets[i % len(sets)], exact=False))
        rate = sets[0].size_bytes / taken
        wide = torch.randn((512, columns), device="cuda")
        prefill = seconds(
            lambda i, x=wide, sets=sets: kernels.matmul(x.clone(), sets[i % len(sets)], exact=False), repeats=10
        )
        flops = 2 * 512 * rows * columns / prefill
        print(
            f"{name:22} {kind.name:5} {rows:7} x {columns:5}   decode {taken * 1e6:8.1f} us {rate / 1e12:6.3f} TB/s "
            f"{rate / read:6.1%} of read bandwidth   prefill {prefill * 1e6:9.1f} us {flops / 1e12:6.1f} TFLOP/s"
        )


def _random(weight: Any) -> Any:
    """Random bytes, with scales that are finite: speed does not depend on values, but must not meet NaN."""
    import torch

    for plane in weight.planes.values():
        if plane.dtype == torch.float16:
            plane.uniform_(0.001, 0.01)
        else:
            plane.random_(0, 1 << 30)
    if weight.type == GgmlType.Q4_K:
        # d and dmin are the first word of each block of 36: two float16 of 2^-8
        weight.planes["blocks"].view(weight.shape[0], -1, 36)[:, :, 0] = 0x1C001C00
    return weight


def model(path: Path, new_tokens: int) -> None:
    """Prefill and greedy decode of one model, by graph and by single launches."""
    import numpy as np

    from engine.ops.cuda import launch

    for graph in (True, False):
        with open_gguf(path) as file:
            loaded = OnDevice(file, load_model, graph=graph)
            limit = loaded.config.context_length
            for prompt in (count for count in (128, 512, 2048, 4096) if count + new_tokens + 1 < limit):
                ids = np.random.default_rng(0).integers(0, loaded.config.vocab_size, prompt)
                cache = loaded.new_cache(prompt + new_tokens + 1)
                loaded.forward(ids, cache, last_only=True)
                cache.reset()
                start = time.perf_counter()
                token = int(loaded.forward(ids, cache, last_only=True)[-1].argmax())
                prefilled = time.perf_counter() - start
                token = loaded.next_token(token, cache)
                before, start = launch.counts(), time.perf_counter()
                for _ in range(new_tokens):
                    token = loaded.next_token(token, cache)
                decoded = time.perf_counter() - start
                launches = sum(launch.since(before).values()) / new_tokens
                print(
                    f"{path.name} {loaded.mode:6} prefill of {prompt}: {prompt / prefilled:9.0f} tok/s   decode "
                    f"after it: {new_tokens / decoded:8.1f} tok/s, {launches:.0f} launches a token"
                )
            loaded.release()


def main() -> int:
    """Run and print; the exit status is the answer."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", type=Path, help="GGUF file; default the bundled model")
    parser.add_argument("--new-tokens", type=int, default=128)
    parser.add_argument("--no-discharge", action="store_true", help="measure speeds alone")
    options = parser.parse_args()
    try:
        from engine.ops.cuda import target

        target.require_gpu()
    except (BackendError, ImportError) as err:
        print(f"{err}")
        return 4
    print(", ".join(f"{key} {value}" for key, value in target.facts().items()))
    path = options.model or teacher_path()
    status = 0
    if not options.no_discharge:
        command = [sys.executable, "-m", "pv", "discharge", "cuda-*", "--target", "cuda", "--model", str(path)]
        status = subprocess.run(command, cwd=ROOT, check=False).returncode
    read = bandwidth()
    print(f"copy bandwidth {read / 1e12:.3f} TB/s")
    products(read)
    model(path, options.new_tokens)
    return status


if __name__ == "__main__":
    sys.exit(main())
