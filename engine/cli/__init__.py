"""The command `q4k`: the only part of the engine that prints or exits."""
