"""The Anthropic API: its paths, versions, headers and errors."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

from fairlead_simulator.checks import Flaw
from fairlead_simulator.limits import REQUESTS, TOKENS, Left
from fairlead_simulator.server import Request
from fairlead_simulator.vendors.anthropic import messages, models
from fairlead_simulator.vendors.vendor import (
    Chat,
    Failure,
    Plain,
    Refused,
    bearer,
    dumps,
    load,
    retry_headers,
    sentence,
)

VERSIONS = ("2023-01-01", messages.OLD_VERSION, messages.NEW_VERSION)
EXPECTED = {
    "number": "number",
    "integer": "integer",
    "text": "string",
    "flag": "boolean",
    "list": "list",
    "table": "dictionary",
}
FAULTS = {
    "auth": (401, "authentication_error", "invalid x-api-key"),
    "bad_key": (401, "authentication_error", "invalid x-api-key"),
    "forbidden": (
        403,
        "permission_error",
        "Your API key does not have permission to use the specified resource.",
    ),
    "error_500": (500, "api_error", "Internal server error"),
    "timeout": (504, "timeout_error", "The request timed out while processing."),
    "rate_limited": (429, "rate_limit_error", "This request would exceed your organization's rate limit."),
    "slow_down": (
        429,
        "rate_limit_error",
        "This request would exceed your organization's acceleration limit.",
    ),
    "quota_exhausted": (402, "billing_error", "Your credit balance is too low to access the Claude API."),
    "spend_limit": (429, "rate_limit_error", "You have reached your enforced spend limit."),
    "overloaded": (529, "overloaded_error", "Overloaded"),
    "capacity": (529, "overloaded_error", "Overloaded"),
    "too_large": (413, "request_too_large", "Request exceeds the maximum size"),
}


class Anthropic:
    """``/v1/messages``, ``/v1/messages/count_tokens`` and ``/v1/models``."""

    name = "anthropic"
    models: tuple[str, ...] = tuple(models.MODELS)

    def read(self, request: Request) -> Chat | Plain:
        """See ``Vendor.read``."""
        if not (request.headers.get("x-api-key") or bearer(request)):
            raise Refused(401, "x-api-key header is required", kind="authentication_error")
        path = request.path.rstrip("/")
        version = _version(request)
        if request.method == "GET":
            return self._models(path, request)
        if request.method == "POST" and path.endswith("/v1/messages"):
            return messages.read(load(request), version)
        if request.method == "POST" and path.endswith("/v1/messages/count_tokens"):
            ask = messages.read_count(load(request), version)
            return Plain({"input_tokens": ask.input_tokens}, ask.model)
        raise Refused(404, "Not Found", kind="not_found_error")

    def _models(self, path: str, request: Request) -> Plain:
        if path.endswith("/v1/models"):
            return Plain(_page(parse_qs(request.query)))
        if path.rpartition("/")[0].endswith("/v1/models"):
            return Plain(models.card(models.found(path.rpartition("/")[2])))
        raise Refused(404, "Not Found", kind="not_found_error")

    def flawed(self, flaw: Flaw) -> Refused:
        """See ``Vendor.flawed``."""
        place, words = flaw.place(), _words(flaw)
        return Refused(400, f"{place}: {words}" if place else words, kind="invalid_request_error")

    def fault(self, kind: str, retry_after_s: float | None) -> Refused:
        """See ``Vendor.fault``."""
        status, type_, message = FAULTS[kind]
        waits = retry_after_s if kind in ("rate_limited", "slow_down") else None
        details = {"error_code": "enforced_spend_limit_reached"} if kind == "spend_limit" else None
        return Refused(status, message, kind=type_, details=details, retry_after_s=waits)

    def failure(self, refused: Refused, request: Request, request_id: str) -> Failure:
        """See ``Vendor.failure``."""
        error: dict[str, Any] = {"type": refused.kind, "message": refused.message}
        if refused.details is not None:
            error["details"] = refused.details
        body = {"type": "error", "error": error, "request_id": f"req_{request_id}"}
        return Failure(refused.status, retry_headers(refused.retry_after_s), dumps(body))

    def headers(self, request_id: str, left: Left) -> dict[str, str]:
        """See ``Vendor.headers``."""
        reset = (datetime.now(UTC) + timedelta(seconds=left.reset_s)).strftime("%Y-%m-%dT%H:%M:%SZ")
        counts = {
            "requests": (REQUESTS, left.requests),
            "tokens": (TOKENS, left.tokens),
            "input-tokens": (TOKENS, left.input_tokens),
            "output-tokens": (TOKENS, left.output_tokens),
        }
        found = {"request-id": f"req_{request_id}", "anthropic-organization-id": "org-simulated"}
        for name, (limit, remaining) in counts.items():
            found[f"anthropic-ratelimit-{name}-limit"] = str(limit)
            found[f"anthropic-ratelimit-{name}-remaining"] = str(remaining)
            found[f"anthropic-ratelimit-{name}-reset"] = reset
        return found


def _version(request: Request) -> str:
    version = request.headers.get("anthropic-version")
    if not version:
        raise models.refused("anthropic-version: header is required")
    if version not in VERSIONS:
        raise models.refused(f'anthropic-version: "{version}" is not a valid version')
    return version


def _page(query: dict[str, list[str]]) -> dict[str, Any]:
    """A page of the list of models, as ``limit``, ``after_id`` and ``before_id`` say."""
    cards = [models.card(model) for model in models.MODELS.values()]
    ids = [card["id"] for card in cards]
    first = ids.index(query["after_id"][0]) + 1 if query.get("after_id", [""])[0] in ids else 0
    last = ids.index(query["before_id"][0]) if query.get("before_id", [""])[0] in ids else len(ids)
    limit = query.get("limit", ["20"])[0]
    if not limit.isdigit() or not 1 <= int(limit) <= 1000:
        raise Flaw("other", ("limit",), limit, "Input should be a whole number from 1 to 1000")
    page = cards[first:last][: int(limit)]
    return {
        "data": page,
        "has_more": first + len(page) < last,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
    }


def _words(flaw: Flaw) -> str:
    match flaw.kind:
        case "missing":
            return "Field required"
        case "unknown":
            return "Extra inputs are not permitted"
        case "type":
            return f"Input should be a valid {EXPECTED[flaw.limit.kind]}"
        case "choice":
            return (
                f"Input should be {sentence(flaw.limit).replace(', and ', ' or ').replace(' and ', ' or ')}"
            )
        case "low":
            return f"Input should be greater than or equal to {flaw.limit}"
        case "high":
            return f"Input should be less than or equal to {flaw.limit}"
        case _:
            return str(flaw.limit)
