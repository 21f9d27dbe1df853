"""Q4_K GGUF inference: numpy is the definition, numba and Triton are the fast paths.

Import what you need from the submodules; importing `engine` alone loads nothing heavy.
"""
