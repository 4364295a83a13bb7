"""What the edge answers by itself: ``/v1/models`` in the shape of the caller's SDK, and Anthropic's count of tokens."""

from typing import Any, Final

import orjson
from fairlead_common.decisions.targets import Target
from fairlead_models.catalog.catalog import Catalog
from fairlead_models.errors import UnknownModel
from fairlead_models.inbound import reading
from fairlead_models.inbound.formats import FORMATS
from fairlead_models.prices import estimate_tokens

from fairlead_edge.dataplane.answers import NoAnswer, wrong_method
from fairlead_edge.http.messages import Request

READ_METHODS: Final = ("GET", "HEAD")
UNKNOWN_TIME: Final = "1970-01-01T00:00:00Z"


def listing(catalog: Catalog, request: Request) -> dict[str, Any]:
    """``/v1/models`` and ``/v1/models/<name>``; in Anthropic's shape for callers that send ``anthropic-version``.

    Raises:
        NoAnswer: another path, or a wrong method.
        UnknownModel: nothing is called so.
    """
    collection, slash, name = request.path.partition("/v1/models")[2].partition("/")
    if not request.path.startswith("/v1/models") or collection:
        paths = ", ".join((*FORMATS, "/v1/embeddings"))
        raise NoAnswer(404, "not_found", f"There is no '{request.path}'. There are {paths} and /v1/models.")
    if request.method not in READ_METHODS:
        raise wrong_method(request, "GET")
    anthropic = "anthropic-version" in request.headers
    if not slash or not name:
        names = catalog.names()
        return _anthropic_list(catalog, names) if anthropic else _openai_list(names)
    if not any(target in catalog.entries for target in catalog.resolve(name)):
        raise UnknownModel(name)
    return _anthropic_model(catalog, name) if anthropic else _openai_model(name)


def count_tokens(request: Request) -> dict[str, Any]:
    """``POST /v1/messages/count_tokens``, by estimate: no provider is asked.

    Raises:
        NoAnswer: a wrong method.
        InvalidRequest: the body is no Messages request.
    """
    if request.method != "POST":
        raise wrong_method(request, "POST")
    raw = {"max_tokens": 1, **reading.load(request.body)}  # a count needs no limit; the format demands one
    return {"input_tokens": estimate_tokens(FORMATS["/v1/messages"].parse(orjson.dumps(raw)))}


def _openai_list(names: list[str]) -> dict[str, Any]:
    return {"object": "list", "data": [_openai_model(name) for name in names]}


def _openai_model(name: str) -> dict[str, Any]:
    owner = name.partition("/")[0] if "/" in name else "fairlead"
    return {"id": name, "object": "model", "created": 0, "owned_by": owner}


def _anthropic_list(catalog: Catalog, names: list[str]) -> dict[str, Any]:
    data = [_anthropic_model(catalog, name) for name in names]
    first, last = (names[0], names[-1]) if names else (None, None)
    return {"data": data, "has_more": False, "first_id": first, "last_id": last}


def _anthropic_model(catalog: Catalog, name: str) -> dict[str, Any]:
    provider, _, model = name.partition("/")
    entry = catalog.entries.get(Target(provider, model))
    return {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": UNKNOWN_TIME,
        "max_input_tokens": entry.context_window if entry else None,
        "max_tokens": entry.max_output_tokens if entry else None,
    }
