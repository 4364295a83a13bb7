"""How a provider's failure is classified: one table of machine-readable codes, then the status; message text never.

A code may stand in any of the fields that a vendor uses (``code``, ``type``, ``status``, a detail's ``reason``); the
most specific comes first. Inside a stream the status is 200 and only the code, or a status repeated in the body, tells.
"""

import math
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime

from fairlead_common.outcomes import ErrorClass

from fairlead_models.errors import ProviderError

CODES: dict[str, ErrorClass] = {
    # out of money: no retry helps
    "insufficient_quota": ErrorClass.QUOTA_EXHAUSTED,
    "credit_balance_exhausted": ErrorClass.QUOTA_EXHAUSTED,
    "billing_hard_limit_reached": ErrorClass.QUOTA_EXHAUSTED,
    "billing_not_active": ErrorClass.QUOTA_EXHAUSTED,
    "enforced_spend_limit_reached": ErrorClass.QUOTA_EXHAUSTED,
    "billing_error": ErrorClass.QUOTA_EXHAUSTED,
    "insufficient_balance": ErrorClass.QUOTA_EXHAUSTED,
    # the provider is full, not we too fast
    "overloaded": ErrorClass.OVERLOADED,
    "overloaded_error": ErrorClass.OVERLOADED,
    "server_is_overloaded": ErrorClass.OVERLOADED,
    "server_overloaded": ErrorClass.OVERLOADED,
    "service_unavailable_error": ErrorClass.OVERLOADED,
    "service_tier_capacity_exceeded": ErrorClass.OVERLOADED,
    "3505": ErrorClass.OVERLOADED,
    "unreachable_backend": ErrorClass.OVERLOADED,
    "UNAVAILABLE": ErrorClass.OVERLOADED,
    "capacity_exceeded": ErrorClass.OVERLOADED,
    # we are too fast
    "rate_limit_exceeded": ErrorClass.RATE_LIMITED,
    "rate_limit_error": ErrorClass.RATE_LIMITED,
    "rate_limited": ErrorClass.RATE_LIMITED,
    "slow_down": ErrorClass.RATE_LIMITED,
    "1300": ErrorClass.RATE_LIMITED,
    "RESOURCE_EXHAUSTED": ErrorClass.RATE_LIMITED,
    # the key
    "invalid_api_key": ErrorClass.AUTH,
    "authentication_error": ErrorClass.AUTH,
    "permission_error": ErrorClass.AUTH,
    "unsupported_country_region_territory": ErrorClass.AUTH,
    "API_KEY_INVALID": ErrorClass.AUTH,
    "API_KEY_EXPIRED": ErrorClass.AUTH,
    "UNAUTHENTICATED": ErrorClass.AUTH,
    "PERMISSION_DENIED": ErrorClass.AUTH,
    "SERVICE_DISABLED": ErrorClass.AUTH,
    "FAILED_PRECONDITION": ErrorClass.AUTH,  # Gemini: the account's country or billing
    # the model
    "model_not_found": ErrorClass.NOT_FOUND,
    "not_found_error": ErrorClass.NOT_FOUND,
    "NOT_FOUND": ErrorClass.NOT_FOUND,
    "DeploymentNotFound": ErrorClass.NOT_FOUND,
    # this target cannot, another may
    "context_length_exceeded": ErrorClass.UNSUPPORTED,
    "unsupported_parameter": ErrorClass.UNSUPPORTED,
    "unsupported_value": ErrorClass.UNSUPPORTED,
    "unsupported_model": ErrorClass.UNSUPPORTED,
    # the caller
    "invalid_request_error": ErrorClass.BAD_REQUEST,
    "request_too_large": ErrorClass.BAD_REQUEST,
    "INVALID_ARGUMENT": ErrorClass.BAD_REQUEST,
    # the provider broke
    "server_error": ErrorClass.SERVER_ERROR,
    "api_error": ErrorClass.SERVER_ERROR,
    "timeout_error": ErrorClass.SERVER_ERROR,
    "internal_server_error": ErrorClass.SERVER_ERROR,
    "INTERNAL": ErrorClass.SERVER_ERROR,
    "DEADLINE_EXCEEDED": ErrorClass.SERVER_ERROR,
}

STATUSES: dict[int, ErrorClass] = {
    400: ErrorClass.BAD_REQUEST,
    401: ErrorClass.AUTH,
    402: ErrorClass.QUOTA_EXHAUSTED,
    403: ErrorClass.AUTH,
    404: ErrorClass.NOT_FOUND,
    405: ErrorClass.NOT_FOUND,
    408: ErrorClass.SERVER_ERROR,
    409: ErrorClass.SERVER_ERROR,
    413: ErrorClass.BAD_REQUEST,
    415: ErrorClass.BAD_REQUEST,
    422: ErrorClass.BAD_REQUEST,
    425: ErrorClass.SERVER_ERROR,
    429: ErrorClass.RATE_LIMITED,
    498: ErrorClass.AUTH,
    499: ErrorClass.SERVER_ERROR,
    503: ErrorClass.OVERLOADED,
    529: ErrorClass.OVERLOADED,
}

DECIDED_BY_STATUS = frozenset((401, 402, 404, 413, 529))
"""Here the status says more than any code can: codes are written for other statuses too."""

AT_STATUS: dict[int, frozenset[ErrorClass]] = {
    400: frozenset(
        (ErrorClass.QUOTA_EXHAUSTED, ErrorClass.AUTH, ErrorClass.UNSUPPORTED, ErrorClass.NOT_FOUND)
    ),
    403: frozenset((ErrorClass.QUOTA_EXHAUSTED,)),
    422: frozenset((ErrorClass.UNSUPPORTED,)),
    429: frozenset((ErrorClass.QUOTA_EXHAUSTED, ErrorClass.OVERLOADED)),
    500: frozenset((ErrorClass.OVERLOADED,)),
    503: frozenset((ErrorClass.RATE_LIMITED,)),
}
"""Which classes a code may put in the place of the status's own; a code that contradicts the status is not believed."""

IN_STREAM = frozenset(
    (
        ErrorClass.OVERLOADED,
        ErrorClass.RATE_LIMITED,
        ErrorClass.QUOTA_EXHAUSTED,
        ErrorClass.AUTH,
        ErrorClass.NOT_FOUND,
        ErrorClass.UNSUPPORTED,
    )
)
"""Classes that keep their meaning inside a stream; everything else that breaks one is a stream error."""


def classify(status: int, codes: Iterable[object] = ()) -> ErrorClass:
    """Class of an HTTP error answer; ``codes`` are the vendor's machine-readable words, the most specific first."""
    standard = STATUSES.get(status)
    if standard is None:
        standard = ErrorClass.SERVER_ERROR if status >= 500 else ErrorClass.BAD_REQUEST
    if status in DECIDED_BY_STATUS:
        return standard
    allowed = AT_STATUS.get(status, frozenset())
    for code in codes:
        found = CODES.get(code) if isinstance(code, str) else None
        if found in allowed:
            return found
    return standard


def classify_in_stream(status: int | None, codes: Iterable[object]) -> ErrorClass:
    """Class of an error inside a stream, or in a 200 answer; ``status`` is what the body repeats of it, if anything."""
    words = [code for code in codes if isinstance(code, str)]
    found = classify(status, words) if status is not None and status >= 400 else None
    if found is None:
        found = next((CODES[word] for word in words if word in CODES), ErrorClass.STREAM_ERROR)
    return found if found in IN_STREAM else ErrorClass.STREAM_ERROR


def retry_after_s(headers: Mapping[str, str], now_unix_s: float | None = None) -> float | None:
    """``retry-after-ms`` or ``retry-after`` (seconds, or an HTTP date), at least 0; None when there is none.

    A date counts from the answer's own ``date`` header, or from ``now_unix_s``.
    """
    for name, factor in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        seconds: float | None
        try:
            seconds = float(value) * factor
        except ValueError:
            seconds = _until(value, headers.get("date"), now_unix_s)
        if seconds is not None and math.isfinite(seconds):
            return max(0.0, seconds)
    return None


def _until(value: str, date: str | None, now_unix_s: float | None) -> float | None:
    then, now = unix_of(value), unix_of(date) if date else now_unix_s
    return None if then is None or now is None else then - now


def unix_of(date: str) -> float | None:
    """Seconds since 1970 of an HTTP date, or None."""
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError, TypeError):
        return None


def http_failure(
    status: int,
    headers: Mapping[str, str],
    message: object,
    codes: Iterable[object] = (),
    *,
    param: object = None,
    request_id: str | None = None,
    retry_s: float | None = None,
    error_class: ErrorClass | None = None,
) -> ProviderError:
    """A ProviderError from the parts that every vendor's error answer has in some form."""
    words = [str(code) for code in codes if isinstance(code, str) and code]
    return ProviderError(
        error_class or classify(status, words),
        message if isinstance(message, str) and message else f"HTTP status {status}",
        status=status,
        retry_after_s=retry_s if retry_s is not None else retry_after_s(headers),
        code=words[0] if words else None,
        param=param if isinstance(param, str) else None,
        provider_request_id=request_id,
    )


def stream_failure(
    message: object, codes: Iterable[object] = (), *, status: int | None = None, retry_s: float | None = None
) -> ProviderError:
    """A ProviderError for an error that came with status 200: inside a stream, or as a whole answer."""
    words = [code for code in codes if isinstance(code, str) and code]
    return ProviderError(
        classify_in_stream(status, words),
        message if isinstance(message, str) and message else "the provider sent an error with status 200",
        status=200,
        retry_after_s=retry_s,
        code=words[0] if words else None,
    )


def failed_finish(word: object, *, in_stream: bool, detail: object = None) -> ProviderError:
    """The provider ended its answer by saying that it failed."""
    text = f"the answer ended with {word}" + (f": {detail}" if isinstance(detail, str) and detail else "")
    kind = ErrorClass.STREAM_ERROR if in_stream else ErrorClass.SERVER_ERROR
    return ProviderError(kind, text, status=200, code=word if isinstance(word, str) else None)
