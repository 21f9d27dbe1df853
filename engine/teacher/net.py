"""The qwen2 architecture as a torch module, for training only.

    x = embedding(token_ids)                                     (B, T, D)
    x = x + attention(rms_norm(x))    q, k with RoPE on pairs (i, i + Dh/2); H query heads share Hkv key heads
    x = x + down(silu(gate(h)) * up(h)),  h = rms_norm(x)
    logits = output(rms_norm(x))      the output matrix is not tied to the embedding

Parameter names are the GGUF tensor names, so that export is a copy and not a translation.
Source: Qwen2 in the Transformers documentation; tensor names from the GGUF specification.
Not here: inference for users (engine.models.qwen2 is written independently and judges this module's export).
"""

# torch is not followed by the type checker, so its base classes and decorators are Any.
# mypy: disable-error-code="misc, untyped-decorator"

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.teacher.shape import TEACHER, TeacherShape

Cache = list[tuple[Tensor, Tensor]]


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate (B, H, T, Dh) by per-position angles given as (T, Dh/2) cosines and sines."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


class RmsNorm(nn.Module):
    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return functional.rms_norm(x, (x.shape[-1],), self.weight, self.eps)


class Block(nn.Module):
    def __init__(self, shape: TeacherShape) -> None:
        super().__init__()
        d, f = shape.hidden_size, shape.intermediate_size
        q_size, kv_size = shape.num_heads * shape.head_dim, shape.num_kv_heads * shape.head_dim
        self.shape = shape
        self.attn_norm = RmsNorm(d, shape.rms_norm_eps)
        self.attn_q = nn.Linear(d, q_size, bias=True)
        self.attn_k = nn.Linear(d, kv_size, bias=True)
        self.attn_v = nn.Linear(d, kv_size, bias=True)
        self.attn_output = nn.Linear(q_size, d, bias=False)
        self.ffn_norm = RmsNorm(d, shape.rms_norm_eps)
        self.ffn_gate = nn.Linear(d, f, bias=False)
        self.ffn_up = nn.Linear(d, f, bias=False)
        self.ffn_down = nn.Linear(f, d, bias=False)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, past: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        s = self.shape
        b, t, _ = x.shape
        h = self.attn_norm(x)
        q = self.attn_q(h).view(b, t, s.num_heads, s.head_dim).transpose(1, 2)
        k = self.attn_k(h).view(b, t, s.num_kv_heads, s.head_dim).transpose(1, 2)
        v = self.attn_v(h).view(b, t, s.num_kv_heads, s.head_dim).transpose(1, 2)
        q, k = _rotate(q, cos, sin).to(v.dtype), _rotate(k, cos, sin).to(v.dtype)
        if past is not None:
            k, v = torch.cat((past[0], k), dim=2), torch.cat((past[1], v), dim=2)
        groups = s.num_heads // s.num_kv_heads
        a = functional.scaled_dot_product_attention(
            q, k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1), is_causal=t > 1
        )
        x = x + self.attn_output(a.transpose(1, 2).reshape(b, t, -1))
        h = self.ffn_norm(x)
        x = x + self.ffn_down(functional.silu(self.ffn_gate(h)) * self.ffn_up(h))
        return x, (k, v)


class Net(nn.Module):
    def __init__(self, shape: TeacherShape = TEACHER) -> None:
        super().__init__()
        self.shape = shape
        self.token_embd = nn.Embedding(shape.vocab_size, shape.hidden_size)
        self.blk = nn.ModuleList(Block(shape) for _ in range(shape.num_layers))
        self.output_norm = RmsNorm(shape.hidden_size, shape.rms_norm_eps)
        self.output = nn.Linear(shape.hidden_size, shape.vocab_size, bias=False)
        half = torch.arange(0, shape.head_dim, 2, dtype=torch.float64) / shape.head_dim
        angles = torch.outer(torch.arange(shape.context_length, dtype=torch.float64), shape.rope_theta**-half)
        self.register_buffer("cos", angles.cos().float(), persistent=False)
        self.register_buffer("sin", angles.sin().float(), persistent=False)
        self._initialise()

    def _initialise(self) -> None:
        """Normal(0, 0.02); matrices that write into the residual stream are scaled by 1/sqrt(2 * layers)."""
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                narrow = name.endswith(("attn_output.weight", "ffn_down.weight"))
                nn.init.normal_(parameter, std=0.02 / ((2 * self.shape.num_layers) ** 0.5 if narrow else 1.0))
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def hidden(self, token_ids: Tensor, cache: Cache | None = None) -> Tensor:
        """Final normed hidden states (B, T, D) of (B, T) ids; a cache list is extended in place."""
        start = cache[0][0].shape[2] if cache else 0
        stop = start + token_ids.shape[1]
        cos, sin = self.get_buffer("cos")[start:stop], self.get_buffer("sin")[start:stop]
        x = self.token_embd(token_ids)
        grown: Cache = []
        for i, block in enumerate(self.blk):
            x, kv = block(x, cos, sin, cache[i] if cache else None)
            grown.append(kv)
        if cache is not None:
            cache[:] = grown
        result: Tensor = self.output_norm(x)
        return result

    def loss(self, token_ids: Tensor, weights: Tensor) -> Tensor:
        """Mean cross entropy of the next token.

        Args:
            token_ids: (B, T) int64.
            weights: (B, T) float32; weights[b, t] is the weight of predicting token t; column 0 is ignored.
        """
        h = self.hidden(token_ids[:, :-1])
        w = weights[:, 1:].reshape(-1)
        kept = w.nonzero().squeeze(1)
        logits = self.output(h.reshape(-1, h.shape[-1])[kept]).float()
        each = functional.cross_entropy(logits, token_ids[:, 1:].reshape(-1)[kept], reduction="none")
        return (each * w[kept]).sum() / w.sum()


@torch.no_grad()
def greedy(net: Net, prompts: list[list[int]], *, eos: int, max_tokens: int = 256) -> list[list[int]]:
    """Greedy continuations without the end token; prompts of equal length run as one batch."""
    answers: list[list[int]] = [[] for _ in prompts]
    by_length: dict[int, list[int]] = {}
    for i, prompt in enumerate(prompts):
        by_length.setdefault(len(prompt), []).append(i)
    for rows in by_length.values():
        for first in range(0, len(rows), 64):
            _greedy_batch(net, prompts, rows[first : first + 64], answers, eos, max_tokens)
    return answers


def _greedy_batch(
    net: Net, prompts: list[list[int]], rows: list[int], answers: list[list[int]], eos: int, max_tokens: int
) -> None:
    cache: Cache = []
    step = torch.tensor([prompts[i] for i in rows])
    for _ in range(max_tokens):
        chosen = net.output(net.hidden(step, cache)[:, -1]).float().argmax(dim=-1)
        live = [n for n, token in enumerate(chosen.tolist()) if token != eos]
        for n in live:
            answers[rows[n]].append(int(chosen[n]))
        if not live:
            return
        rows = [rows[n] for n in live]
        keep = torch.tensor(live)
        cache[:] = [(k[keep], v[keep]) for k, v in cache]
        step = chosen[keep].unsqueeze(1)
    for i in rows:
        answers[i].append(-1)
