"""The OpenAI API: its paths, models, embeddings, headers and errors."""

from typing import Any

from fairlead_simulator import tokens
from fairlead_simulator.checks import TEXT, Flaw, Rule, check, integer, need, one_of
from fairlead_simulator.embeddings import base64_of, vector
from fairlead_simulator.limits import REQUESTS, TOKENS, Left
from fairlead_simulator.server import Request
from fairlead_simulator.vendors.openai import chat, models, responses
from fairlead_simulator.vendors.vendor import (
    Chat,
    Failure,
    Model,
    Plain,
    Refused,
    bearer,
    dumps,
    load,
    retry_headers,
    sentence,
)

CREATED = 1_780_000_000
EMBEDDING_RULES = {
    "model": TEXT,
    "input": Rule("any"),
    "dimensions": integer(1),
    "encoding_format": one_of("float", "base64"),
    "user": TEXT,
}
EXPECTED = {
    "number": "a decimal",
    "integer": "an integer",
    "text": "a string",
    "flag": "a boolean",
    "list": "an array",
    "table": "an object",
}
FAULTS = {
    "auth": (401, "Incorrect API key provided: sk-simu***ated.", "invalid_request_error", "invalid_api_key"),
    "bad_key": (
        401,
        "Incorrect API key provided: sk-simu***ated.",
        "invalid_request_error",
        "invalid_api_key",
    ),
    "forbidden": (
        403,
        "Country, region, or territory not supported",
        "request_forbidden",
        "unsupported_country_region_territory",
    ),
    "error_500": (
        500,
        "The server had an error while processing your request. Sorry about that!",
        "server_error",
        None,
    ),
    "timeout": (504, "The request timed out.", "server_error", None),
    "rate_limited": (
        429,
        "Rate limit reached for requests per min (RPM). Please try again later.",
        "requests",
        "rate_limit_exceeded",
    ),
    "slow_down": (429, "Your request rate rose too fast. Please slow down.", "requests", "slow_down"),
    "quota_exhausted": (
        429,
        "You exceeded your current quota, please check your plan and billing details.",
        "insufficient_quota",
        "insufficient_quota",
    ),
    "spend_limit": (
        429,
        "Your credit balance is exhausted.",
        "insufficient_quota",
        "credit_balance_exhausted",
    ),
    "overloaded": (
        503,
        "Our servers are currently overloaded. Please try again later.",
        "service_unavailable_error",
        "server_is_overloaded",
    ),
    "capacity": (
        503,
        "Our servers are currently overloaded. Please try again later.",
        "service_unavailable_error",
        "server_is_overloaded",
    ),
    "too_large": (413, "The request body is too large.", "invalid_request_error", "request_too_large"),
}


class OpenAI:
    """``/v1/chat/completions``, ``/v1/responses``, ``/v1/embeddings`` and ``/v1/models``."""

    name = "openai"
    models: tuple[str, ...] = tuple(models.MODELS)

    def read(self, request: Request) -> Chat | Plain:
        """See ``Vendor.read``."""
        if bearer(request) is None:
            message = (
                "You didn't provide an API key. You need to provide your API key in an Authorization header."
            )
            raise Refused(401, message, kind="invalid_request_error")
        path = request.path.rstrip("/")
        if request.method == "GET":
            return self._models(path, request)
        if request.method == "POST" and path.endswith("/chat/completions"):
            return chat.read(load(request))
        if request.method == "POST" and path.endswith("/responses"):
            return responses.read(load(request))
        if request.method == "POST" and path.endswith("/embeddings"):
            return self._embeddings(load(request))
        raise self._unknown(request)

    @staticmethod
    def _unknown(request: Request) -> Refused:
        message = f"Invalid URL ({request.method} {request.path})"
        return Refused(404, message, kind="invalid_request_error")

    def _models(self, path: str, request: Request) -> Plain:
        if path.endswith("/models"):
            return Plain({"object": "list", "data": [_card(model) for model in models.MODELS.values()]})
        if path.rpartition("/")[0].endswith("/models"):
            return Plain(_card(models.found(path.rpartition("/")[2])))
        raise self._unknown(request)

    @staticmethod
    def _embeddings(body: dict[str, Any]) -> Plain:
        need(body, "model", "input")
        check(body, EMBEDDING_RULES)
        model = models.found(body["model"])
        if not model.dimensions:
            message = "You are not allowed to generate embeddings from this model"
            raise Refused(403, message, kind="invalid_request_error")
        size = body.get("dimensions") or model.dimensions
        if model.id.endswith("ada-002") and body.get("dimensions"):
            raise chat.refused("This model does not support specifying dimensions.")
        if size > model.dimensions:
            message = (
                f"Invalid value for 'dimensions' = {size}. Must be less than or equal to {model.dimensions}."
            )
            raise chat.refused(message, "dimensions")
        texts = _inputs(body["input"])
        used = sum(tokens.count(text) for text in texts)
        rows = []
        for index, text in enumerate(texts):
            values = vector(text, model.id, size)
            row = base64_of(values) if body.get("encoding_format") == "base64" else values
            rows.append({"object": "embedding", "index": index, "embedding": row})
        usage = {"prompt_tokens": used, "total_tokens": used}
        found = {"object": "list", "data": rows, "model": model.id, "usage": usage}
        return Plain(found, model.id, used, works=True)

    def flawed(self, flaw: Flaw) -> Refused:
        """See ``Vendor.flawed``."""
        message, code = _words(flaw)
        param = flaw.place(brackets=True) or None
        return Refused(400, message, kind="invalid_request_error", param=param, code=code)

    def fault(self, kind: str, retry_after_s: float | None) -> Refused:
        """See ``Vendor.fault``."""
        status, message, type_, code = FAULTS[kind]
        waits = retry_after_s if kind in ("rate_limited", "slow_down", "overloaded", "capacity") else None
        return Refused(status, message, kind=type_, code=code, retry_after_s=waits)

    def failure(self, refused: Refused, request: Request, request_id: str) -> Failure:
        """See ``Vendor.failure``."""
        error = {
            "message": refused.message,
            "type": refused.kind,
            "param": refused.param,
            "code": refused.code,
        }
        return Failure(refused.status, retry_headers(refused.retry_after_s), dumps({"error": error}))

    def headers(self, request_id: str, left: Left) -> dict[str, str]:
        """See ``Vendor.headers``."""
        return {
            "x-request-id": f"req_{request_id}",
            "openai-processing-ms": "12",
            "openai-version": "2020-10-01",
            "openai-organization": "org-simulated",
            "x-ratelimit-limit-requests": str(REQUESTS),
            "x-ratelimit-limit-tokens": str(TOKENS),
            "x-ratelimit-remaining-requests": str(left.requests),
            "x-ratelimit-remaining-tokens": str(left.tokens),
            "x-ratelimit-reset-requests": duration(left.reset_s),
            "x-ratelimit-reset-tokens": duration(left.reset_s),
        }


def duration(seconds: float) -> str:
    """``6m0s``, ``1.5s`` or ``120ms``, as OpenAI writes the time to a reset."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    minutes, rest = divmod(round(seconds, 3), 60)
    return f"{int(minutes)}m{rest:g}s" if minutes else f"{rest:g}s"


def _card(model: Model) -> dict[str, Any]:
    return {"id": model.id, "object": "model", "created": CREATED, "owned_by": "system"}


def _inputs(value: Any) -> list[str]:
    """Texts; token numbers stand for themselves, separated by blanks."""
    rows = (
        [value]
        if isinstance(value, str) or (isinstance(value, list) and value and isinstance(value[0], int))
        else value
    )
    if not isinstance(rows, list) or not rows or len(rows) > 2048:
        raise Flaw(
            "other", ("input",), None, "expected a string, or an array of 1 to 2048 strings or of tokens"
        )
    found = [" ".join(map(str, row)) if isinstance(row, list) else row for row in rows]
    for position, text in enumerate(found):
        if not isinstance(text, str) or not text:
            raise Flaw(
                "other",
                ("input", position),
                None,
                "input cannot be an empty string, and must be text or tokens",
            )
        if tokens.count(text) > 8192:
            size = tokens.count(text)
            message = (
                f"This model's maximum context length is 8192 tokens, however you requested {size} tokens."
            )
            raise chat.refused(message, "input", "context_length_exceeded")
    return found


def _words(flaw: Flaw) -> tuple[str, str | None]:
    name = flaw.place(brackets=True)
    if flaw.kind == "missing":
        return f"Missing required parameter: '{name}'.", "missing_required_parameter"
    if flaw.kind == "unknown":
        return f"Unknown parameter: '{name}'.", "unknown_parameter"
    if flaw.kind == "choice":
        return (
            f"Invalid value: '{flaw.found}'. Supported values are: {sentence(flaw.limit)}.",
            "invalid_value",
        )
    if flaw.kind == "type":
        found = EXPECTED[kind_of(flaw.found)]
        return (
            f"Invalid type for '{name}': expected {EXPECTED[flaw.limit.kind]}, but got {found} instead.",
            "invalid_type",
        )
    if flaw.kind in ("low", "high"):
        sort = "integer" if isinstance(flaw.found, int) else "decimal"
        side, sign, short = (
            ("below minimum", ">=", "below_min")
            if flaw.kind == "low"
            else ("above maximum", "<=", "above_max")
        )
        expected = f"Expected a value {sign} {flaw.limit}, but got {flaw.found} instead."
        return f"Invalid '{name}': {sort} {side} value. {expected}", f"{sort}_{short}_value"
    if flaw.kind == "short":
        return (
            f"Invalid '{name}': empty array. Expected an array with minimum length {flaw.limit}.",
            "empty_array",
        )
    if flaw.kind == "long":
        message = f"Invalid '{name}': array too long. Expected an array with maximum length {flaw.limit}"
        return f"{message}, but got an array with length {len(flaw.found)} instead.", "array_above_max_length"
    if not flaw.path:
        return "We could not parse the JSON body of your request.", None
    return f"Invalid value for '{name}': {flaw.limit}.", "invalid_value"


def kind_of(value: Any) -> str:
    """The kind of rule (``checks.Rule``) that a JSON value would satisfy."""
    if isinstance(value, bool):
        return "flag"
    kinds = {int: "integer", float: "number", str: "text", list: "list", dict: "table"}
    return kinds.get(type(value), "table")
