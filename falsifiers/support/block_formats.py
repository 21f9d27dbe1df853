"""Q4_K, Q5_K, Q6_K, Q8_0 and Q5_0 read one weight at a time, from the definition of the formats, in exact arithmetic.

    Q4_K, 144 bytes, 256 weights in 8 sub-blocks j of 32        w = d * s[j] * q - dmin * m[j]
        0 d, 2 dmin (float16), 4 packed 6-bit s and m, 16 quants: byte 16 + 32 (j // 2) + l, low nibble for even j
        s[j], m[j] = low 6 bits of packed[j], packed[4 + j]                               for j < 4
        s[j] = packed[4 + j] % 16 + 16 * (packed[j - 4] // 64)                            for j >= 4
        m[j] = packed[4 + j] // 16 + 16 * (packed[j] // 64)                               for j >= 4
    Q6_K, 210 bytes, 256 weights in 16 sub-blocks of 16         w = d * s[i // 16] * (q - 32)
        0 low nibbles, 128 high pairs of bits, 192 s (int8), 208 d (float16)
    Q8_0, 34 bytes, 32 weights                                  w = d * q
        0 d (float16), 2 q (int8)

Every factor is an integer times a power of two, so a Python float holds each result exactly: for Q4_K a multiple of
2^-24 below 2^28, 52 of its 53 bits (Q5_K too); for the others a product of at most 23 significant bits.

    Q5_K, 176 bytes, and Q5_0, 22 bytes: at their functions

Source: block_q4_K, block_q5_K, block_q6_K, block_q8_0, block_q5_0 in ggml-common.h;
loops of dequantize_row_* in ggml-quants.c.
"""

from __future__ import annotations


def half(block: bytes, at: int) -> float:
    """IEEE 754 binary16, little-endian."""
    bits = block[at] + 256 * block[at + 1]
    sign = -1.0 if bits & 0x8000 else 1.0
    exponent, fraction = (bits >> 10) & 31, bits & 1023
    if exponent == 31:
        return sign * float("inf") if fraction == 0 else float("nan")
    if exponent == 0:
        return sign * fraction * 2.0**-24
    return sign * (1024 + fraction) * 2.0 ** (exponent - 25)


def int8(byte: int) -> int:
    return byte - 256 if byte > 127 else byte


def q4_k(block: bytes) -> list[float]:
    """256 weights of one block."""
    d, dmin, packed = half(block, 0), half(block, 2), block[4:16]
    weights = []
    for j in range(8):
        if j < 4:
            scale, minimum = packed[j] % 64, packed[4 + j] % 64
        else:
            scale = packed[4 + j] % 16 + 16 * (packed[j - 4] // 64)
            minimum = packed[4 + j] // 16 + 16 * (packed[j] // 64)
        for lane in range(32):
            byte = block[16 + 32 * (j // 2) + lane]
            quant = byte // 16 if j % 2 else byte % 16
            weights.append(d * scale * quant - dmin * minimum)
    return weights


def q6_k(block: bytes) -> list[float]:
    """256 weights of one block."""
    d = half(block, 208)
    weights = []
    for i in range(256):
        part, inside = divmod(i, 128)
        quarter, lane = divmod(inside, 32)
        low = block[64 * part + 32 * (quarter % 2) + lane]
        low = low // 16 if quarter >= 2 else low % 16
        high = block[128 + 32 * part + lane] // 4**quarter % 4
        weights.append(d * int8(block[192 + i // 16]) * (low + 16 * high - 32))
    return weights


def q8_0(block: bytes) -> list[float]:
    """32 weights of one block."""
    d = half(block, 0)
    return [d * int8(byte) for byte in block[2:34]]


def q5_k(block: bytes) -> list[float]:
    """256 weights of one block: Q4_K's header, 32 bytes of fifth bits (bit j of byte l), 128 bytes of nibbles."""
    nibbles = q4_k(block[:16] + block[48:])
    d = half(block, 0)
    weights = []
    for j in range(8):
        packed = block[4:16]
        scale = packed[j] % 64 if j < 4 else packed[4 + j] % 16 + 16 * (packed[j - 4] // 64)
        for lane in range(32):
            fifth = block[16 + lane] >> j & 1
            weights.append(nibbles[32 * j + lane] + d * scale * 16 * fifth)
    return weights


def q5_0(block: bytes) -> list[float]:
    """32 weights of one block: d, 4 bytes of fifth bits (bit i of weight i), nibbles of weights i and 16 + i."""
    d = half(block, 0)
    fifths = int.from_bytes(block[2:6], "little")
    quants = [block[6 + i % 16] // 16 if i >= 16 else block[6 + i] % 16 for i in range(32)]
    return [d * (quant + 16 * (fifths >> i & 1) - 16) for i, quant in enumerate(quants)]
