"""What a client is told when something is wrong: OpenAI's shape.

{"error": {"message": one line, "type": kind, "param": field or null, "code": name or null}}
"""

from __future__ import annotations

from typing import Any, Final

from engine.errors import ContextError, EngineError, SamplingError, TemplateError

INVALID: Final = "invalid_request_error"


class ApiError(Exception):
    """One refusal, with its HTTP status."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = INVALID,
        param: str | None = None,
        code: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.param = param
        self.code = code
        self.retry_after_s = retry_after_s

    def as_json(self) -> dict[str, Any]:
        """The body of the response."""
        return {"error": {"message": str(self), "type": self.kind, "param": self.param, "code": self.code}}

    def headers(self) -> dict[str, str]:
        """Beside those of every response."""
        return {} if self.retry_after_s is None else {"retry-after": str(self.retry_after_s)}


def busy(waiting: int) -> ApiError:
    """The queue is full."""
    message = f"the model is busy and {waiting} requests wait already; try again later"
    return ApiError(message, status=503, kind="server_error", code="queue_full", retry_after_s=1)


def stopping() -> ApiError:
    """The server ends."""
    return ApiError("the server is shutting down", status=503, kind="server_error", code="shutting_down")


def of_exception(error: Exception) -> ApiError:
    """What a generation raised: the request's fault, the model's, or ours."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, ContextError):
        return ApiError(str(error), code="context_length_exceeded")
    if isinstance(error, TemplateError | SamplingError):
        return ApiError(str(error))
    if isinstance(error, EngineError):
        return ApiError(str(error), status=500, kind="server_error", code="model_error")
    return ApiError(f"internal error: {type(error).__name__}", status=500, kind="server_error", code="internal_error")
