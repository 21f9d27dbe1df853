"""How the bundled teacher model is made: corpus, tokenizer, training, export, evaluation.

Only `net` and `train` need torch and import it inside functions; everything else is standard library and numpy.
"""
