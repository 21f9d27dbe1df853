"""How fast a model runs, and how near that is to what the machine can do: everything behind `q4k bench`.

    figure      what is measured: prefill of T tokens, decode behind S tokens
    subject     what it is measured on: a backend in a precision, with the timer of the place where it computes
    session     figures times subjects times repeats, in turn, and everything else that a report holds

A subject on a GPU differs from one on the CPU in its timer, its probes and how it looks into a step (`device`, `host`);
all else is the same code. Importing this package imports numpy alone.
"""
