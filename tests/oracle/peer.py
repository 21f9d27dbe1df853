"""llama.cpp as the other side of `make oracle`: one process, one model, one request per line.

    python tests/oracle/peer.py                   says what would run, and ends
    python tests/oracle/peer.py MODEL CONTEXT     says what runs once the model is loaded, and answers

    first line   {"version": "...", "system": "..."}

    request      {"tokenize": "text", "special": true}
    answer       {"ids": [1, 2]}

    request      {"logprobs": [1, 2, 3], "last": 2}     natural logarithms of the next token's probabilities by id,
    answer       {"logprobs": [[-0.1, ...], [...]]}     at the last 2 positions

    request      {"greedy": [1, 2], "new": 64}  ends early with an end token, which is the last id
    answer       {"ids": [3, 4], "text": "..."}

Needs `xllamacpp` alone. Its server listens on this machine only; "the most probable tokens" it is asked for are the
whole vocabulary. Each position is a prompt of its own: logits are those of prefill, greedy text is that of decode.
The KV cache is F32 and attention plain, so that what llama.cpp rounds is activations.
"""

from __future__ import annotations

import json
import sys
import urllib.request
from typing import Any

import xllamacpp

MOST_PROBABLE = 1 << 30
"""More than any vocabulary has."""


class Server:
    """One model, asked over HTTP."""

    def __init__(self, path: str, context: int) -> None:
        params = xllamacpp.CommonParams()
        params.model.path = path
        params.n_ctx, params.n_parallel, params.n_gpu_layers = context, 1, 0
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
        params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.hostnames, params.port, params.offline = ["127.0.0.1"], 0, True
        params.use_jinja = params.warmup = params.fit_params = False
        params.verbosity = params.cache_ram_mib = 0
        self._server = xllamacpp.Server(params)

    def tokenize(self, text: str, special: bool) -> dict[str, Any]:
        asked = {"content": text, "add_special": False, "parse_special": special}
        return {"ids": self._post("/tokenize", asked)["tokens"]}

    def logprobs(self, ids: list[int], last: int) -> dict[str, Any]:
        # A token that is half a character has no probabilities in the answer; so 'a' is made the next one. The bias is
        # the sampler's, the probabilities are those before it.
        [letter] = self.tokenize("a", special=False)["ids"][-1:]
        every_token = {"n_probs": MOST_PROBABLE, "logit_bias": [[letter, 1000.0]]}
        rows = []
        for length in range(len(ids) - last + 1, len(ids) + 1):
            [next_token] = self._complete(ids[:length], 1, **every_token)["completion_probabilities"]
            by_id = {token["id"]: token["logprob"] for token in next_token["top_logprobs"]}
            rows.append([by_id[index] for index in range(len(by_id))])
        return {"logprobs": rows}

    def greedy(self, ids: list[int], new: int) -> dict[str, Any]:
        answer = self._complete(ids, new)
        return {"ids": answer["tokens"], "text": answer["content"]}

    def _complete(self, ids: list[int], new: int, **more: Any) -> dict[str, Any]:
        asked = {"prompt": ids, "n_predict": new, "temperature": 0, "cache_prompt": False, "return_tokens": True}
        return self._post("/completion", asked | more)

    def _post(self, path: str, asked: dict[str, Any]) -> dict[str, Any]:
        body = json.dumps(asked).encode()
        request = urllib.request.Request(
            self._server.listening_address + path, body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as answer:
            found: dict[str, Any] = json.load(answer)
        return found


def main() -> None:
    server = Server(sys.argv[1], int(sys.argv[2])) if sys.argv[1:] else None
    version = f"llama.cpp in xllamacpp {xllamacpp.__version__}"
    print(json.dumps({"version": version, "system": xllamacpp.get_system_info().strip()}), flush=True)
    if server is None:
        return
    for line in sys.stdin:
        match json.loads(line):
            case {"tokenize": text, "special": special}:
                answer = server.tokenize(text, special)
            case {"logprobs": ids, "last": last}:
                answer = server.logprobs(ids, last)
            case {"greedy": ids, "new": new}:
                answer = server.greedy(ids, new)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
