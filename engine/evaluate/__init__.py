"""pass@1 on problems in HumanEval's format: a model writes functions, and they run where they can do no harm.

A completion never shares a process with the test that judges it, nor with anything that it could use to pass:

    completion, in a box  <-- arguments, values -->  this process  <-- calls, comparisons -->  test, in another box

Only plain values cross (`values`), this process compares them (`judge`), and a box (`box`, `child`, `namespaces`) has
no network, no files but Python's own, and limits on time, memory and processes. Linux only.
"""
