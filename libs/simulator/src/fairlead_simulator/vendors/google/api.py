"""The Gemini API: its paths in ``/v1`` and ``/v1beta``, models, embeddings and errors."""

import re
from typing import Any
from urllib.parse import parse_qs, unquote

from fairlead_simulator import tokens
from fairlead_simulator.checks import (
    FLAG,
    TABLE,
    TEXT,
    Flaw,
    check,
    check_value,
    integer,
    need,
    several,
    tables,
)
from fairlead_simulator.embeddings import vector
from fairlead_simulator.limits import Left
from fairlead_simulator.server import Request
from fairlead_simulator.vendors.google import content, interactions, models
from fairlead_simulator.vendors.google.models import MODELS
from fairlead_simulator.vendors.google.names import camel_fields, snake
from fairlead_simulator.vendors.vendor import Chat, Failure, Model, Plain, Refused, bearer, dumps, load

PATH = re.compile(r"/(v1(?:alpha|beta)?)/models/([^:/]+):([a-zA-Z]+)")
LIST_PATH = re.compile(r"/(v1(?:alpha|beta)?)/models(?:/([^:/]+))?")
TYPE_URL = "type.googleapis.com/google.rpc."
EMBED_RULES = {
    "model": TEXT,
    "content": TABLE,
    "taskType": TEXT,
    "title": TEXT,
    "outputDimensionality": integer(1, 3072),
    "autoTruncate": FLAG,
    "embedContentConfig": TABLE,
}
FAULTS = {
    "auth": (401, "UNAUTHENTICATED", "Request had invalid authentication credentials."),
    "bad_key": (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
    "forbidden": (403, "PERMISSION_DENIED", "The caller does not have permission"),
    "error_500": (500, "INTERNAL", "An internal error has occurred. Please retry."),
    "timeout": (504, "DEADLINE_EXCEEDED", "The request timed out. Please try again."),
    "rate_limited": (
        429,
        "RESOURCE_EXHAUSTED",
        "You exceeded your current quota, please check your plan and billing details.",
    ),
    "slow_down": (429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
    "quota_exhausted": (402, "FAILED_PRECONDITION", "Your prepayment credits are depleted."),
    "spend_limit": (
        429,
        "RESOURCE_EXHAUSTED",
        "You exceeded your current quota, please check your plan and billing details.",
    ),
    "overloaded": (503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
    "capacity": (503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
    "too_large": (400, "INVALID_ARGUMENT", "Request payload size exceeds the limit: 20971520 bytes."),
}
EXPECTED = {
    "number": "TYPE_FLOAT",
    "integer": "TYPE_INT32",
    "text": "TYPE_STRING",
    "flag": "TYPE_BOOL",
    "list": "TYPE_MESSAGE",
    "table": "TYPE_MESSAGE",
}


class Google:
    """``models/{model}:generateContent`` and its siblings, ``models``, and ``interactions``."""

    name = "google"
    models: tuple[str, ...] = tuple(MODELS)

    def read(self, request: Request) -> Chat | Plain:
        """See ``Vendor.read``."""
        query = parse_qs(request.query)
        if not (request.headers.get("x-goog-api-key") or query.get("key") or bearer(request)):
            raise Refused(
                403,
                "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or"
                " other form of API consumer identity to call this API.",
                kind="PERMISSION_DENIED",
            )
        path = unquote(request.path)
        if request.method == "GET" and (match := LIST_PATH.fullmatch(path)):
            return _listed(match[1], match[2], query)
        if request.method == "POST" and interactions.PATH.fullmatch(path):
            return interactions.read(load(request))
        match = PATH.fullmatch(path)
        if request.method != "POST" or match is None:
            raise Refused(404, "Not Found", kind="NOT_FOUND")
        version, name, method = match.groups()
        return _serve(load(request), models.found(name, version, method), method, query)

    def flawed(self, flaw: Flaw) -> Refused:
        """See ``Vendor.flawed``."""
        message = _words(flaw)
        place = ".".join(snake(str(step)) if isinstance(step, str) else f"[{step}]" for step in flaw.path)
        violation = {"field": place.replace(".[", "["), "description": message}
        details = [{"@type": f"{TYPE_URL}BadRequest", "fieldViolations": [violation]}]
        return Refused(400, message, kind="INVALID_ARGUMENT", details=details)

    def fault(self, kind: str, retry_after_s: float | None) -> Refused:
        """See ``Vendor.fault``: the wait stands in the body, not in a header."""
        status, name, message = FAULTS[kind]
        return Refused(status, message, kind=name, details=_details(kind, retry_after_s))

    def failure(self, refused: Refused, request: Request, request_id: str) -> Failure:
        """See ``Vendor.failure``: an array with the error where the answer would have been an array."""
        if interactions.PATH.fullmatch(request.path):
            return Failure(refused.status, {}, dumps(interactions.error_of(refused)))
        error: dict[str, Any] = {"code": refused.status, "message": refused.message, "status": refused.kind}
        if refused.details:
            error["details"] = refused.details
        body: Any = {"error": error}
        array = request.path.endswith(":streamGenerateContent") and "alt=sse" not in request.query
        return Failure(refused.status, {}, dumps([body] if array else body))

    def headers(self, request_id: str, left: Left) -> dict[str, str]:
        """See ``Vendor.headers``: limits are not told."""
        return {"x-gemini-service-tier": "standard", "server-timing": "gfet4t7; dur=12"}


def _details(kind: str, retry_after_s: float | None) -> list[dict[str, Any]]:
    if kind == "bad_key":
        return [{"@type": f"{TYPE_URL}ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"}]
    if kind not in ("rate_limited", "spend_limit"):
        return []
    period = "Minute" if kind == "rate_limited" else "Day"
    violation = {
        "quotaMetric": "generativelanguage.googleapis.com/generate_content_paid_tier_requests",
        "quotaId": f"GenerateRequestsPer{period}PerProjectPerModel",
        "quotaDimensions": {"location": "global"},
        "quotaValue": "10",
    }
    link = {"description": "Learn more", "url": "https://ai.google.dev/gemini-api/docs/rate-limits"}
    found: list[dict[str, Any]] = [
        {"@type": f"{TYPE_URL}QuotaFailure", "violations": [violation]},
        {"@type": f"{TYPE_URL}Help", "links": [link]},
    ]
    if kind == "rate_limited" and retry_after_s is not None:
        found.append({"@type": f"{TYPE_URL}RetryInfo", "retryDelay": f"{retry_after_s:g}s"})
    return found


def _listed(version: str, name: str | None, query: dict[str, list[str]]) -> Plain:
    if name is not None:
        if name not in MODELS:
            raise Refused(
                404, f"Model is not found: models/{name} for api version {version}", kind="NOT_FOUND"
            )
        return Plain(models.card(MODELS[name]))
    size, token = query.get("pageSize", ["50"])[0], query.get("pageToken", ["0"])[0]
    if not size.isdigit() or not token.isdigit():
        raise models.refused("page_size must be a number, page_token what the last page gave.")
    start, end = int(token), int(token) + max(1, int(size))
    page: dict[str, Any] = {"models": [models.card(model) for model in list(MODELS.values())[start:end]]}
    if end < len(MODELS):
        page["nextPageToken"] = str(end)
    return Plain(page)


def _serve(body: dict[str, Any], model: Model, method: str, query: dict[str, list[str]]) -> Chat | Plain:
    if method == "countTokens":
        found = camel_fields(body)
        ask = content.ask_of({**found, **(found.get("generateContentRequest") or {})}, model)
        details = [{"modality": "TEXT", "tokenCount": ask.input_tokens}]
        return Plain({"totalTokens": ask.input_tokens, "promptTokensDetails": details}, model.id)
    if method in ("embedContent", "batchEmbedContents"):
        return _embed(camel_fields(body), model, batch=method == "batchEmbedContents")
    stream = method == "streamGenerateContent"
    return content.read(body, model, stream=stream, events=query.get("alt") == ["sse"])


def _embed(body: dict[str, Any], model: Model, *, batch: bool) -> Plain:
    if batch:
        need(body, "requests")
        check_value(body["requests"], several(100, 1), ("requests",))
    requests = tables(body["requests"], ("requests",)) if batch else [body]
    rows, used = [], 0
    for position, each in enumerate(requests):
        path = ("requests", position) if batch else ()
        check(each, EMBED_RULES, path)
        need(each, "content", path=path)
        parts = tables(each["content"].get("parts") or [], (*path, "content", "parts"))
        text = "\n".join(str(part.get("text") or "") for part in parts)
        if not text:
            raise models.refused("content is empty")
        used += tokens.count(text)
        size = each.get("outputDimensionality") or (each.get("embedContentConfig") or {}).get(
            "outputDimensionality"
        )
        rows.append({"values": vector(text, model.id, size or model.dimensions)})
    usage = {"promptTokenCount": used, "totalTokenCount": used}
    found = {"embeddings": rows} if batch else {"embedding": rows[0]}
    return Plain({**found, "usageMetadata": usage}, model.id, used, works=True)


def _words(flaw: Flaw) -> str:
    steps = [snake(str(step)) if isinstance(step, str) else f"[{step}]" for step in flaw.path]
    place = ".".join(steps).replace(".[", "[")
    match flaw.kind:
        case "unknown":
            outer = ".".join(steps[:-1]).replace(".[", "[")
            where = f" at '{outer}'" if outer else ""
            return f'Invalid JSON payload received. Unknown name "{flaw.path[-1]}"{where}: Cannot find field.'
        case "type":
            return f"Invalid value at '{place}' ({EXPECTED[flaw.limit.kind]}), {dumps(flaw.found).decode()}"
        case "choice":
            return f"Invalid value at '{place}' (TYPE_ENUM), {dumps(flaw.found).decode()}"
        case "missing":
            return f"* GenerateContentRequest.{place}: {steps[-1]} is not specified"
        case "low" | "high":
            side = "at least" if flaw.kind == "low" else "at most"
            return f"* GenerateContentRequest.{place}: {steps[-1]} must be {side} {flaw.limit}, found {flaw.found}."
        case "short" | "long":
            side = "at least" if flaw.kind == "short" else "at most"
            return f"* GenerateContentRequest.{place}: must have {side} {flaw.limit} elements, found {len(flaw.found)}."
        case _:
            return (
                f"Invalid value at '{place}', {flaw.limit}"
                if place
                else f"Invalid JSON payload received: {flaw.limit}"
            )
