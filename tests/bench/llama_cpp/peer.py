"""llama.cpp as the other side of `q4k bench --peer`: one process, one model, one request per line.

    python tests/bench/llama_cpp/peer.py MODEL THREADS CONTEXT [perf_counter | process_time]

    request   {"prompt": 128, "new": 32}
    answer    {"prefill_s": 1.2, "decode_s": 3.4, "peak_bytes": 1000000}

The first line says what runs: {"version": "...", "system": "..."}.

Needs `llama_cpp`, the Python package that contains llama.cpp; its default settings, greedy tokens, one sequence.
"""

from __future__ import annotations

import ctypes
import json
import sys
import time
from pathlib import Path

import llama_cpp
import numpy as np

SEED = 20250907
BATCH = 512


def main() -> None:
    path, threads, context_size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    clock = time.process_time if sys.argv[4:] == ["process_time"] else time.perf_counter
    quiet = llama_cpp.llama_log_callback(lambda *_: None)
    llama_cpp.llama_log_set(quiet, ctypes.c_void_p())
    llama_cpp.llama_backend_init()
    model = llama_cpp.llama_model_load_from_file(path.encode(), llama_cpp.llama_model_default_params())
    if not model:
        sys.exit(f"{path}: llama.cpp cannot load the file")
    params = llama_cpp.llama_context_default_params()
    params.n_ctx, params.n_batch, params.n_ubatch = context_size, BATCH, BATCH
    params.n_threads = params.n_threads_batch = threads
    params.no_perf = True
    context = llama_cpp.llama_init_from_model(model, params)
    if not context:
        sys.exit(f"{path}: llama.cpp cannot make a context of {context_size}")
    vocab_size = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
    memory = llama_cpp.llama_get_memory(context)
    system = llama_cpp.llama_print_system_info().decode()
    say({"version": llama_cpp.__version__, "system": system})
    for line in sys.stdin:
        request = json.loads(line)
        ids = np.random.default_rng(SEED).integers(0, vocab_size, request["prompt"], dtype=np.int64).tolist()
        llama_cpp.llama_memory_clear(memory, True)
        start = clock()
        for first in range(0, len(ids), BATCH):
            run(context, ids[first : first + BATCH])
        token = greedy(context, vocab_size)
        prefilled = clock()
        for _ in range(request["new"]):
            run(context, [token])
            token = greedy(context, vocab_size)
        end = clock()
        say({"prefill_s": prefilled - start, "decode_s": end - prefilled, "peak_bytes": peak_bytes()})


def run(context: object, ids: list[int]) -> None:
    """One batch that continues the sequence; the logits of its last token are kept."""
    tokens = (llama_cpp.llama_token * len(ids))(*ids)
    if llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(tokens, len(ids))):
        sys.exit("llama.cpp refused a batch")


def greedy(context: object, vocab_size: int) -> int:
    """Token of the largest logit; waits for the computation."""
    logits = llama_cpp.llama_get_logits_ith(context, -1)
    return int(np.ctypeslib.as_array(logits, shape=(vocab_size,)).argmax())


def peak_bytes() -> int:
    """Most bytes that were resident in this process (VmHWM), mapped files included."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def say(answer: dict[str, object]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
