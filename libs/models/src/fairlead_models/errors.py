"""What can go wrong between a caller and a provider.

::

    FairleadModelsError
    +-- InvalidRequest          the caller's own fault; nothing was sent
    |   +-- UnknownModel        no such model, alias or class
    +-- ProviderError           one attempt at one provider failed; ``error_class`` says how
    +-- ProvidersFileError      the providers file cannot be used
    +-- CatalogFileError        the catalog file cannot be used
"""

from fairlead_common.outcomes import ErrorClass

from fairlead_models.transport.protocol import Phases

EXCERPT = 300


class FairleadModelsError(Exception):
    """Root of this library's errors."""


class InvalidRequest(FairleadModelsError):
    """The request cannot be understood or is not allowed; ``param`` is the path of the wrong field."""

    def __init__(
        self, message: str, param: str | None = None, code: str | None = None, status: int = 400
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code
        self.status = status


class UnknownModel(InvalidRequest, LookupError):
    """Nothing of that name can be routed to."""

    def __init__(self, name: str, near: tuple[str, ...] = ()) -> None:
        hint = f" Did you mean {', '.join(near)}?" if near else " GET /v1/models lists what there is."
        super().__init__(f"The model '{name}' does not exist.{hint}", "model", "model_not_found", 404)
        self.near = near


class ProvidersFileError(FairleadModelsError):
    """The providers file is wrong; the message says where, what was expected, and what to do."""


class CatalogFileError(FairleadModelsError):
    """The catalog file is wrong; the message says where and what."""


class ProviderError(FairleadModelsError):
    """One attempt failed. Status decides the class, then the kind of transport failure, never message text.

    ``phases`` are those that the attempt went through before; None = it was not sent, or they are not known.
    """

    def __init__(
        self,
        error_class: ErrorClass,
        message: str,
        *,
        provider: str = "",
        model: str = "",
        status: int | None = None,
        retry_after_s: float | None = None,
        code: str | None = None,
        param: str | None = None,
        provider_request_id: str | None = None,
        phases: Phases | None = None,
    ) -> None:
        super().__init__(message)
        self.error_class = error_class
        self.message = message[:EXCERPT]
        self.provider = provider
        self.model = model
        self.status = status
        self.retry_after_s = retry_after_s
        self.code = code
        self.param = param
        self.provider_request_id = provider_request_id
        self.phases = phases

    @property
    def retryable(self) -> bool:
        """True when another target may succeed with the same request."""
        return self.error_class.retryable_elsewhere

    def __str__(self) -> str:
        where = f"{self.provider}/{self.model}: " if self.provider else ""
        return f"{where}{self.error_class}: {self.message}"
