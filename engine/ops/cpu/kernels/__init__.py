"""The compiled loops of the CPU backend, in numba and LLVM; only `engine.ops.cpu.maker` asks for them.

A kernel is made by the function of its name, from constants, in one of

    products, activations, rows, attention     the jobs of a forward
    interleave                                 the order of the weights
    pool                                       how threads share a job
    bandwidth                                  how fast memory is read

It takes 64-bit integers only, at most an address or a number each, and returns one or None. It holds no array: memory
is its caller's, or `allocate`d and freed. It cannot raise; where Python would, it ends the process.
"""
