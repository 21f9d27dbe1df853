"""Texts that tokenizers get wrong: scripts without spaces, emoji of several code points, runs of white space, code."""

from __future__ import annotations

TEXTS: tuple[str, ...] = (
    "What is 2+2?",
    "2 + 2 equals 4.",
    "I'll say they've said IT'S what we'D want, DON'T you?",
    "Write a Python function to compute the nth Fibonacci number.",
    "```python\ndef fibonacci(n):\n    a, b = 0, 1\n    for _ in range(n):\n        a, b = b, a + b\n    return a\n```",
    "\tif x_1 >= 10**3 and not y[-1]:\r\n\t\treturn {'a': 1.5e-3}  # done\r\n",
    " ",
    "   ",
    "a  b   c    d",
    "trailing spaces   ",
    "trailing newline\n",
    "\n\n\n  indented after blank lines\n\n",
    "tabs\t\tand\u00a0no-break\u3000ideographic spaces",
    "1234567890 3.14159 1,000,000 ١٢٣ Ⅻ ½",
    "日本語のトークン化は難しい。你好，世界！한국어 텍스트",
    "naïve café, Zürich, Ångström, Łódź",
    "cafe\u0301 decomposed and \u212b a compatibility letter",
    "👋 🌍 👩‍👩‍👧‍👦 🇨🇭 👍🏽",
    "שלום עולם مرحبا بالعالم नमस्ते दुनिया",
    "∀x∈ℝ: ⌈x⌉ = −⌊−x⌋, α∧¬β → γ₁²",
    "<|im_start|>user\nnot a control token<|im_end|>",
    "mixed—dashes…and “quotes” ‘here’ !!! ??? ...",
    "a" * 40 + "!" * 20 + " " * 17 + "z",
    "\u200bzero width\ufeff and control \x07 characters \x1b[31m",
)
