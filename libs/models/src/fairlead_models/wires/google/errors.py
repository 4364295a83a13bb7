"""Errors of the Gemini API: the status word, the reason in the details, and how long to wait."""

from typing import Any

from fairlead_common.outcomes import ErrorClass

from fairlead_models.errors import ProviderError
from fairlead_models.failures import http_failure, stream_failure
from fairlead_models.wires.protocol import Headers, load_error
from fairlead_models.wires.reading import as_int


def http_error(status: int, headers: Headers, body: bytes) -> ProviderError:
    """The error of an answer whose status says that it is one; never raises."""
    detail = load_error(body).get("error")
    detail = detail if isinstance(detail, dict) else {}
    details = _details(detail)
    return http_failure(
        status,
        headers,
        detail.get("message"),
        (*_reasons(details), detail.get("status")),
        retry_s=_retry_info(details),
        error_class=ErrorClass.QUOTA_EXHAUSTED if status == 429 and _daily(details) else None,
    )


def error_in_200(found: dict[str, Any]) -> ProviderError:
    """An error inside a stream."""
    detail = found.get("error")
    detail = detail if isinstance(detail, dict) else {}
    details = _details(detail)
    return stream_failure(
        detail.get("message"),
        (*_reasons(details), detail.get("status")),
        status=as_int(detail.get("code")),
        retry_s=_retry_info(details),
    )


def _details(detail: dict[str, Any]) -> list[dict[str, Any]]:
    found = detail.get("details")
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _reasons(details: list[dict[str, Any]]) -> list[object]:
    return [each.get("reason") for each in details if _is(each, "ErrorInfo")]


def _is(detail: dict[str, Any], kind: str) -> bool:
    return str(detail.get("@type", "")).endswith(kind)


def _retry_info(details: list[dict[str, Any]]) -> float | None:
    for each in details:
        if _is(each, "RetryInfo"):
            try:
                seconds = float(str(each.get("retryDelay", "")).removesuffix("s"))
            except ValueError:
                return None
            return max(0.0, seconds) if seconds < 1e9 else None
    return None


def _daily(details: list[dict[str, Any]]) -> bool:
    """The quota of the day is used up: waiting for a moment does not help."""
    violations = [v for each in details if _is(each, "QuotaFailure") for v in each.get("violations") or ()]
    quotas = [str(each.get("quotaId", "")) for each in violations if isinstance(each, dict)]
    return any("PerDay" in quota for quota in quotas)
