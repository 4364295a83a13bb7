"""The Cohere API: its paths, embeddings, reranking, tokens, headers and errors."""

import math
from typing import Any
from urllib.parse import parse_qs

from fairlead_simulator import tokens
from fairlead_simulator.checks import FLAG, LIST, TEXT, Flaw, Rule, check, integer, need, one_of, several
from fairlead_simulator.embeddings import base64_of, bits_of, int8_of, vector
from fairlead_simulator.limits import REQUESTS, Left
from fairlead_simulator.server import Request
from fairlead_simulator.vendors.cohere import chat, models
from fairlead_simulator.vendors.cohere.models import MODELS
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

INPUT_TYPES = ("search_document", "search_query", "classification", "clustering", "image")
EMBED_RULES: dict[str, Rule] = {
    "model": TEXT,
    "texts": several(96, 1),
    "images": LIST,
    "inputs": several(96, 1),
    "input_type": one_of(*INPUT_TYPES),
    "embedding_types": LIST,
    "output_dimension": integer(),
    "truncate": one_of("NONE", "START", "END"),
    "max_tokens": integer(1),
    "priority": integer(0, 999),
}
RERANK_RULES: dict[str, Rule] = {
    "model": TEXT,
    "query": TEXT,
    "documents": several(10_000, 1),
    "top_n": integer(1),
    "max_tokens_per_doc": integer(1),
    "priority": integer(0, 999),
    "return_documents": FLAG,
}
FAULTS = {
    "auth": (401, "invalid api token"),
    "bad_key": (401, "invalid api token"),
    "forbidden": (403, "you do not have permission to use this resource"),
    "error_500": (500, "internal server error"),
    "timeout": (504, "gateway timeout"),
    "rate_limited": (429, "You are using a Trial key, which is limited to 20 API calls / minute."),
    "slow_down": (429, "Please wait and try again later"),
    "quota_exhausted": (
        402,
        "Please add or update your payment method at https://dashboard.cohere.com/billing",
    ),
    "spend_limit": (429, "You have exceeded your monthly spend limit."),
    "overloaded": (503, "service unavailable"),
    "capacity": (503, "service unavailable"),
    "too_large": (413, "request body too large"),
}
EXPECTED = {
    "number": "float",
    "integer": "int",
    "text": "string",
    "flag": "bool",
    "list": "array",
    "table": "object",
}
PROPER = "For proper usage, please refer to https://docs.cohere.com/reference"


class Cohere:
    """``/v2/chat``, ``/v2/embed``, ``/v2/rerank``, ``/v1/tokenize`` and ``/v1/models``."""

    name = "cohere"
    models: tuple[str, ...] = tuple(MODELS)

    def read(self, request: Request) -> Chat | Plain:
        """See ``Vendor.read``."""
        if bearer(request) is None:
            raise Refused(401, "no api key supplied")
        path = request.path.rstrip("/")
        if request.method == "GET" and path.endswith("/v1/models"):
            return _listed(parse_qs(request.query))
        if request.method == "GET" and path.rpartition("/")[0].endswith("/v1/models"):
            name = path.rpartition("/")[2]
            if name not in MODELS:
                raise Refused(404, f"model '{name}' not found")
            return Plain(models.card(MODELS[name]))
        if request.method == "POST":
            return _serve(path, load(request))
        raise Refused(404, "404 page not found")

    def flawed(self, flaw: Flaw) -> Refused:
        """See ``Vendor.flawed``: what the parser stumbles on is 422, what does not make sense is 400."""
        status, message = _words(flaw)
        return Refused(status, message)

    def fault(self, kind: str, retry_after_s: float | None) -> Refused:
        """See ``Vendor.fault``."""
        status, message = FAULTS[kind]
        waits = retry_after_s if kind in ("rate_limited", "slow_down") else None
        return Refused(status, message, retry_after_s=waits)

    def failure(self, refused: Refused, request: Request, request_id: str) -> Failure:
        """See ``Vendor.failure``."""
        body = {"id": request_id, "message": refused.message}
        return Failure(refused.status, retry_headers(refused.retry_after_s), dumps(body))

    def headers(self, request_id: str, left: Left) -> dict[str, str]:
        """See ``Vendor.headers``."""
        return {
            "x-debug-trace-id": request_id,
            "x-endpoint-monthly-call-limit": str(REQUESTS),
            "x-trial-endpoint-call-limit": str(REQUESTS),
            "x-trial-endpoint-call-remaining": str(left.requests),
        }


def _listed(query: dict[str, list[str]]) -> Plain:
    cards = [models.card(model) for model in MODELS.values()]
    if endpoint := query.get("endpoint"):
        cards = [card for card in cards if endpoint[0] in card["endpoints"]]
    size = query.get("page_size", ["1000"])[0]
    if not size.isdigit():
        raise Refused(400, "invalid request: page_size must be a number")
    return Plain({"models": cards[: int(size)], "next_page_token": ""})


def _serve(path: str, body: dict[str, Any]) -> Chat | Plain:
    if path.endswith("/v2/chat"):
        return chat.read(body)
    if path.endswith("/v2/embed"):
        return _embed(body)
    if path.endswith("/v2/rerank"):
        return _rerank(body)
    if path.endswith("/v1/tokenize"):
        return _tokenize(body)
    raise Refused(404, "404 page not found")


def _embed(body: dict[str, Any]) -> Plain:
    need(body, "model", "input_type")
    check(body, EMBED_RULES)
    model = models.found(body["model"], "embed")
    size = body.get("output_dimension") or model.dimensions
    if size not in (256, 512, 1024, 1536):
        raise chat.refused("output_dimension must be one of 256, 512, 1024 or 1536.")
    texts = _texts(body)
    vectors = [vector(text, model.id, size) for text in texts]
    kinds = body.get("embedding_types") or ["float"]
    used = sum(tokens.count(text) for text in texts)
    found = {
        "id": f"embd-{used}",
        "embeddings": {kind: [_encoded(each, kind) for each in vectors] for kind in kinds},
        "texts": body.get("texts") or [],
        "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": used}},
        "response_type": "embeddings_by_type",
    }
    return Plain(found, model.id, used, works=True)


def _texts(body: dict[str, Any]) -> list[str]:
    given = [name for name in ("texts", "images", "inputs") if body.get(name)]
    if len(given) != 1:
        raise chat.refused("exactly one of texts, images or inputs must be given.")
    if given == ["inputs"]:
        parts = [each.get("content") or [] for each in body["inputs"]]
        return ["\n".join(str(part.get("text") or part.get("image_url")) for part in each) for each in parts]
    return [str(each) for each in body[given[0]]]


def _encoded(values: list[float], kind: str) -> Any:
    match kind:
        case "float":
            return values
        case "int8":
            return int8_of(values)
        case "uint8":
            return [each + 128 for each in int8_of(values)]
        case "binary":
            return [each - 128 for each in bits_of(values)]
        case "ubinary":
            return bits_of(values)
        case "base64":
            return base64_of(values)
        case _:
            raise chat.refused(f"embedding_types must not contain '{kind}'.")


def _rerank(body: dict[str, Any]) -> Plain:
    need(body, "model", "query", "documents")
    check(body, RERANK_RULES)
    model = models.found(body["model"], "rerank")
    query = vector(body["query"], model.id, 64)
    scores = [
        round((1 + _similarity(query, vector(str(text), model.id, 64))) / 2, 6) for text in body["documents"]
    ]
    ranked = sorted(zip(scores, range(len(scores)), strict=True), key=lambda each: (-each[0], each[1]))
    ranked = ranked[: body.get("top_n") or len(ranked)]
    found = {
        "id": "rerank-simulated",
        "results": [{"index": index, "relevance_score": score} for score, index in ranked],
        "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}},
    }
    return Plain(found, model.id, works=True)


def _similarity(one: list[float], other: list[float]) -> float:
    return math.fsum(a * b for a, b in zip(one, other, strict=True))


def _tokenize(body: dict[str, Any]) -> Plain:
    need(body, "model", "text")
    check(body, {"model": TEXT, "text": TEXT})
    model = MODELS.get(body["model"]) or models.found(body["model"], "chat")
    strings = tokens.TOKEN.findall(body["text"])
    found = {
        "tokens": [sum(each.encode()) for each in strings],
        "token_strings": strings,
        "meta": {"api_version": {"version": "1"}},
    }
    return Plain(found, model.id)


def _words(flaw: Flaw) -> tuple[int, str]:
    name = flaw.path[-1] if flaw.path else ""
    place = flaw.place()
    match flaw.kind:
        case "missing":
            return 400, f"invalid request: {place} is required. {PROPER}"
        case "unknown":
            return 422, f"unknown field: parameter '{name}' is not a valid field. {PROPER}"
        case "type":
            found = (
                type(flaw.found)
                .__name__.replace("str", "string")
                .replace("list", "array")
                .replace("dict", "object")
            )
            wanted = EXPECTED[flaw.limit.kind]
            return (
                422,
                f"invalid type: parameter {place} is of type {found} but should be of type {wanted}. {PROPER}",
            )
        case "choice":
            return 422, f"invalid value: parameter {place} must be one of {sentence(flaw.limit)}. {PROPER}"
        case "low":
            return 400, f"invalid request: {place} must be at least {flaw.limit}."
        case "high":
            return 400, f"invalid request: {place} must be at most {flaw.limit}."
        case "long" | "short":
            side = "more" if flaw.kind == "long" else "less"
            return 400, f"invalid request: {place} must not have {side} than {flaw.limit} elements."
        case _:
            return 400, f"invalid request: {place}{': ' if place else ''}{flaw.limit}"
