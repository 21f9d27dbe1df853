"""Errors that input can cause; every message is one line: where, what, expected, what to do.

What this package itself breaks is an `AssertionError`, not one of these.
"""

from __future__ import annotations


class EngineError(Exception):
    """Base of all errors that a caller of the engine may want to catch and print."""


class GgufError(EngineError):
    """A GGUF file is refused.

    Attributes:
        code: the violated rule, such as `GGUF-T22`; stable, tests and documents name it.
        offset: byte in the file at which the refused field starts; None if the rule is not about one byte.
        inconclusive: the file may be valid, but a limit of this reader stops the reading.
    """

    def __init__(self, message: str, *, code: str, offset: int | None = None, inconclusive: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.offset = offset
        self.inconclusive = inconclusive


class QuantError(EngineError):
    """Packed bytes or weights do not fit a quantised type, or the type has no codec."""


class ShapeError(EngineError):
    """An array given to an operation has the wrong shape."""


class ModelError(EngineError):
    """The file is a valid GGUF, but not a model that this engine can run."""


class TokenizerError(EngineError):
    """The tokenizer stored in the file cannot be used, or a token id is outside its vocabulary."""


class TemplateError(EngineError):
    """The chat template stored in the file is refused or fails to render."""


class ContextError(EngineError):
    """A prompt is empty, or does not fit the context of the model."""


class SamplingError(EngineError):
    """A sampling parameter is out of its range, or the logits hold nothing to choose from."""


class BackendError(EngineError):
    """The backend asked for is not available or must not run this model."""


class ParityError(EngineError):
    """Two sides cannot be compared: a saved side is refused, or is of another model or other tokens."""


class EvaluationError(EngineError):
    """A file of problems is malformed."""


class BoxError(EngineError):
    """Generated code cannot be run here without risk."""


class VoidError(EngineError):
    """The self-check of an evaluation did not come out exactly; nothing was measured."""


class ServeError(EngineError):
    """A server cannot start."""
