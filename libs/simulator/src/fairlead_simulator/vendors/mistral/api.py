"""The Mistral API: its paths, embeddings, headers and errors."""

from typing import Any

from fairlead_simulator import tokens
from fairlead_simulator.checks import ANY, TABLE, TEXT, Flaw, check, integer, need, one_of
from fairlead_simulator.embeddings import base64_of, bits_of, int8_of, vector
from fairlead_simulator.limits import REQUESTS, TOKENS, Left
from fairlead_simulator.server import Request
from fairlead_simulator.vendors.mistral import chat, models
from fairlead_simulator.vendors.mistral.models import MODELS
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

EMBEDDING_RULES = {
    "model": TEXT,
    "input": ANY,
    "metadata": TABLE,
    "output_dimension": integer(1),
    "output_dtype": one_of("float", "int8", "uint8", "binary", "ubinary"),
    "encoding_format": one_of("float", "base64"),
}
FAULTS = {
    "auth": (401, "Unauthorized", "", None),
    "bad_key": (401, "Unauthorized", "", None),
    "forbidden": (403, "You do not have access to this resource.", "forbidden", "1200"),
    "error_500": (500, "Internal server error", "internal_server_error", "1000"),
    "timeout": (504, "The upstream model timed out.", "unreachable_backend", "1100"),
    "rate_limited": (429, "Rate limit exceeded", "rate_limited", "1300"),
    "slow_down": (429, "Rate limit exceeded", "rate_limited", "1300"),
    "quota_exhausted": (402, "You have reached your usage limit. Please top up.", "payment_required", "1600"),
    "spend_limit": (402, "You have reached your usage limit. Please top up.", "payment_required", "1600"),
    "overloaded": (503, "Service unavailable: upstream connect error", "unreachable_backend", "1100"),
    "capacity": (
        429,
        "Service tier capacity exceeded for this model.",
        "service_tier_capacity_exceeded",
        "3505",
    ),
    "too_large": (413, "The request body is too large.", "invalid_request_error", "3051"),
}
TYPES = {
    "number": ("float_type", "Input should be a valid number"),
    "integer": ("int_type", "Input should be a valid integer"),
    "text": ("string_type", "Input should be a valid string"),
    "flag": ("bool_type", "Input should be a valid boolean"),
    "list": ("list_type", "Input should be a valid list"),
    "table": ("dict_type", "Input should be a valid dictionary"),
}


class Mistral:
    """``/v1/chat/completions``, ``/v1/embeddings`` and ``/v1/models``."""

    name = "mistral"
    models: tuple[str, ...] = tuple(MODELS)

    def read(self, request: Request) -> Chat | Plain:
        """See ``Vendor.read``."""
        if bearer(request) is None:
            raise Refused(401, "Unauthorized", details="Unauthorized")
        path = request.path.rstrip("/")
        if request.method == "GET" and path.endswith("/v1/models"):
            return Plain({"object": "list", "data": [models.card(model) for model in MODELS.values()]})
        if request.method == "GET" and path.rpartition("/")[0].endswith("/v1/models"):
            name = path.rpartition("/")[2]
            if name not in MODELS:
                raise Refused(404, f"Model '{name}' not found.", kind="not_found", code="1404")
            return Plain(models.card(MODELS[name]))
        if request.method == "POST" and path.endswith("/v1/chat/completions"):
            return chat.read(load(request))
        if request.method == "POST" and path.endswith("/v1/embeddings"):
            return _embeddings(load(request))
        raise Refused(404, "no Route matched with those values", details=None)

    def flawed(self, flaw: Flaw) -> Refused:
        """See ``Vendor.flawed``: what does not fit the schema is 422, with a list of details."""
        type_, message = _words(flaw)
        detail: dict[str, Any] = {
            "type": type_,
            "loc": ["body", *flaw.path],
            "msg": message,
            "input": flaw.found,
        }
        if flaw.kind in ("low", "high"):
            detail["ctx"] = {"ge" if flaw.kind == "low" else "le": flaw.limit}
        return Refused(422, message, details=[detail])

    def fault(self, kind: str, retry_after_s: float | None) -> Refused:
        """See ``Vendor.fault``."""
        status, message, type_, code = FAULTS[kind]
        waits = retry_after_s if kind in ("rate_limited", "slow_down") else None
        details = message if status == 401 else None
        return Refused(status, message, kind=type_, code=code, details=details, retry_after_s=waits)

    def failure(self, refused: Refused, request: Request, request_id: str) -> Failure:
        """See ``Vendor.failure``."""
        if refused.details is not None:
            return Failure(refused.status, {}, dumps({"detail": refused.details}))
        body = {
            "object": "error",
            "message": refused.message,
            "type": refused.kind,
            "param": refused.param,
            "code": refused.code,
            "raw_status_code": refused.status,
        }
        return Failure(refused.status, retry_headers(refused.retry_after_s), dumps(body))

    def headers(self, request_id: str, left: Left) -> dict[str, str]:
        """See ``Vendor.headers``; the names of the limits are not documented by the vendor."""
        return {
            "mistral-correlation-id": request_id,
            "x-kong-request-id": request_id,
            "x-ratelimit-limit-req-minute": str(REQUESTS),
            "x-ratelimit-remaining-req-minute": str(left.requests),
            "x-ratelimit-limit-tokens-minute": str(TOKENS),
            "x-ratelimit-remaining-tokens-minute": str(left.tokens),
        }


def _embeddings(body: dict[str, Any]) -> Plain:
    need(body, "model", "input")
    check(body, EMBEDDING_RULES)
    model = models.found(body["model"])
    if not model.dimensions:
        raise chat.refused(f"Invalid model: {model.id}", "invalid_model", "1500")
    size = body.get("output_dimension") or model.dimensions
    if size != model.dimensions and ("resized" not in model.traits or size > 3072):
        message = f"Model {model.id} does not support an output dimension of {size}"
        raise chat.refused(message, "invalid_request_error", "3051")
    texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
        raise Flaw(
            "other",
            ("input",),
            None,
            "Input should be a valid string or a list of strings that are not empty",
        )
    rows = [
        {"object": "embedding", "index": index, "embedding": _encoded(vector(text, model.id, size), body)}
        for index, text in enumerate(texts)
    ]
    used = sum(tokens.count(text) for text in texts)
    usage = {"prompt_tokens": used, "total_tokens": used, "completion_tokens": 0}
    found = {"id": f"embd-{used}", "object": "list", "model": model.id, "data": rows, "usage": usage}
    return Plain(found, model.id, used, works=True)


def _encoded(values: list[float], body: dict[str, Any]) -> Any:
    kind = body.get("output_dtype") or "float"
    if body.get("encoding_format") == "base64":
        return base64_of(values)
    if kind in ("int8", "uint8"):
        return [each + (128 if kind == "uint8" else 0) for each in int8_of(values)]
    if kind in ("binary", "ubinary"):
        return [each - (128 if kind == "binary" else 0) for each in bits_of(values)]
    return values


def _words(flaw: Flaw) -> tuple[str, str]:
    match flaw.kind:
        case "missing":
            return "missing", "Field required"
        case "unknown":
            return "extra_forbidden", "Extra inputs are not permitted"
        case "type":
            return TYPES[flaw.limit.kind]
        case "choice":
            expected = sentence(flaw.limit).replace(", and ", " or ").replace(" and ", " or ")
            return "literal_error", f"Input should be {expected}"
        case "low":
            return "greater_than_equal", f"Input should be greater than or equal to {flaw.limit}"
        case "high":
            return "less_than_equal", f"Input should be less than or equal to {flaw.limit}"
        case "long":
            return "too_long", f"List should have at most {flaw.limit} items, not {len(flaw.found)}"
        case "short":
            return "too_short", f"List should have at least {flaw.limit} items, not {len(flaw.found)}"
        case _:
            return "value_error", str(flaw.limit)
