"""What the failures of a call's attempts mean for its caller."""

from fairlead_common.decisions.targets import Target
from fairlead_common.outcomes import ErrorClass
from fairlead_models.errors import ProviderError

from fairlead_edge.dataplane.answers import NoAnswer


def soonest(errors: list[ProviderError], otherwise: float) -> float:
    """When the first of those that failed wants to be asked again, in seconds; ``otherwise`` when none says."""
    known = [error.retry_after_s for error in errors if error.retry_after_s is not None]
    return min(known) if known else otherwise


def callers_own(errors: list[ProviderError]) -> NoAnswer:
    """The provider's verdict on the caller's request, or, when nothing was sent, ours."""
    error = next((each for each in errors if each.error_class is not ErrorClass.UNSUPPORTED), errors[0])
    status = error.status if error.status is not None and 400 <= error.status < 500 else 400
    unsupported = error.error_class is ErrorClass.UNSUPPORTED
    code = "unsupported_content" if unsupported else error.code or "invalid_request"
    return NoAnswer(status, code, error.message, None, error.param)


def no_such_model(target: Target, error: ProviderError) -> ProviderError:
    """A model that only the caller believed in: his mistake, and nothing that speaks against the provider."""
    return ProviderError(
        ErrorClass.BAD_REQUEST,
        f"The model '{target}' does not exist: {error.message}",
        provider=target.provider,
        model=target.model,
        status=404,
        code="model_not_found",
        param="model",
        provider_request_id=error.provider_request_id,
    )
