"""From what was asked for to a test that can run: arms, metric, requests, estimated costs; everything checked beforehand."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from fairlead_common.operations.abtest import Arm, MetricName, PromptIn, TestIn
from fairlead_models.catalog.catalog import Catalog
from fairlead_models.errors import InvalidRequest, ProviderError
from fairlead_models.inbound import openai_chat
from fairlead_models.unified import ChatRequest
from fairlead_models.wires.protocol import EncodedRequest

from fairlead_abtest.domain.arms import ASSUMED_OUTPUT_TOKENS, estimated_cost_usd, resolve_arms
from fairlead_abtest.domain.jobs import Job, all_jobs
from fairlead_abtest.domain.metrics import METRICS
from fairlead_abtest.domain.scoring import SchemaError, validator

RESERVED: Final = {
    "model": "the arms say which models are asked",
    "messages": "give prompts",
    "stream": "set the test's own field 'stream'",
    "stream_options": "set the test's own field 'stream'",
    "n": "set the test's own field 'repeats'",
}
ENCODED_PROMPTS: Final = 50
"""Prompts that are encoded for every arm when a test is created, to see what the arms cannot honour."""

Encode = Callable[[Arm, ChatRequest], EncodedRequest]


class DesignError(ValueError):
    """A test that cannot be run as asked; the message says where, why, and what to do."""


@dataclass(frozen=True)
class Design:
    """A test that can run. Costs None = unknown."""

    name: str
    prompts: list[PromptIn]
    first_text: str
    arms: list[Arm]
    metric: MetricName
    minimum_effect: float
    jobs: list[Job]
    job_costs: list[float | None]
    """Of each job, in the same order."""
    estimated_cost_usd: float | None
    warnings: list[str] = field(default_factory=list)


def design(test: TestIn, catalog: Catalog, encode: Encode) -> Design:
    """Check and complete a test.

    Raises:
        ArmError, DesignError: it cannot be run as asked.
    """
    arms, prompts = resolve_arms(test.providers, catalog), test.all_prompts()
    _check_params(test.params)
    requests = [chat_request(each.messages, test.params, f"prompts[{i}]") for i, each in enumerate(prompts)]
    metric = _metric(test, prompts)
    warnings = _unhonoured(arms, requests[:ENCODED_PROMPTS], encode)
    costs = {
        (arm.name, i): estimated_cost_usd(arm, request, catalog)
        for arm in arms
        for i, request in enumerate(requests)
    }
    unpriced = [arm.name for arm in arms if costs[arm.name, 0] is None]
    warnings += _price_warnings(test, metric, unpriced, requests[0])
    jobs = all_jobs(len(prompts), arms, test.repeats)
    job_costs = [costs[job.arm.name, job.prompt_index] for job in jobs]
    total = None if unpriced else sum(cost for cost in job_costs if cost is not None)
    if test.max_cost_usd is not None and total is not None and total > test.max_cost_usd:
        raise DesignError(
            f"the test is estimated at {total:.6g} USD for {len(jobs)} calls, more than its max_cost_usd of"
            f" {test.max_cost_usd:g}: raise the limit, limit max_tokens in params, or ask fewer prompts"
        )
    effect = METRICS[metric].default_effect if test.minimum_effect is None else test.minimum_effect
    text = next(
        m.text() for m in reversed(requests[0].messages) if m.role == "user" or m is requests[0].messages[0]
    )
    return Design(test.name, prompts, text, arms, metric, effect, jobs, job_costs, total, warnings)


def chat_request(
    messages: list[dict[str, Any]], params: dict[str, Any], where: str = "prompt"
) -> ChatRequest:
    """One prompt as a chat request, for no model yet.

    Raises:
        DesignError: the messages or the parameters are wrong.
    """
    body = json.dumps({"model": "any", **params, "messages": messages}).encode()
    try:
        return openai_chat.parse(body)
    except InvalidRequest as error:
        inside = (error.param or "").startswith("messages")
        raise DesignError(f"{where}: {error.message}" if inside else f"params: {error.message}") from error


def scored_prompts(prompts: list[PromptIn], params: dict[str, Any]) -> frozenset[int]:
    """Prompts whose answers can be given a quality: those with a reference, or all when JSON is asked for."""
    wants_json = json_format(params) is not None
    return frozenset(i for i, each in enumerate(prompts) if wants_json or each.reference is not None)


def json_format(params: dict[str, Any]) -> dict[str, Any] | None:
    """The JSON Schema that answers must satisfy; empty = any JSON object; None = no JSON is asked for."""
    wanted = params.get("response_format")
    if not isinstance(wanted, dict) or wanted.get("type") not in ("json_object", "json_schema"):
        return None
    found = wanted["json_schema"]["schema"] if wanted["type"] == "json_schema" else {}
    return dict(found)


def _check_params(params: dict[str, Any]) -> None:
    for name in params:
        if name in RESERVED:
            raise DesignError(f"params.{name} cannot be set: {RESERVED[name]}")
    unknown = chat_request([{"role": "user", "content": "check"}], params).extra
    if unknown:
        names = ", ".join(f"params.{name}" for name in sorted(unknown))
        raise DesignError(
            f"{names}: not known, or of a kind that not every arm would understand; leave it out"
        )


def _metric(test: TestIn, prompts: list[PromptIn]) -> MetricName:
    schema = json_format(test.params)
    if schema:
        try:
            validator(schema)
        except SchemaError as error:
            raise DesignError(f"params.response_format.json_schema.schema cannot be used: {error}") from error
    if test.metric is None:
        return "quality" if any(each.reference is not None for each in prompts) else "latency"
    if test.metric == "quality" and not scored_prompts(prompts, test.params):
        raise DesignError(
            "metric 'quality' needs something to judge by: give prompts a reference, or ask for JSON in"
            " params.response_format"
        )
    return test.metric


def _unhonoured(arms: list[Arm], requests: list[ChatRequest], encode: Encode) -> list[str]:
    """What arms cannot honour. Raises DesignError when one cannot take the request at all."""
    found: dict[str, None] = {}
    for arm in arms:
        for i, request in enumerate(requests):
            try:
                encoded = encode(arm, request)
            except ProviderError as error:
                raise DesignError(f"prompts[{i}]: {arm.name} cannot take it: {error.message}") from error
            found.update(
                dict.fromkeys(f"{arm.name} does not honour {warning}" for warning in encoded.warnings)
            )
    return list(found)


def _price_warnings(test: TestIn, metric: str, unpriced: list[str], request: ChatRequest) -> list[str]:
    names, advice = ", ".join(unpriced), "set prices through /api/providers/models"
    if unpriced and test.max_cost_usd is not None:
        raise DesignError(
            f"max_cost_usd cannot be kept: the price of {names} is unknown; {advice}, or leave it out"
        )
    if unpriced and metric == "cost":
        raise DesignError(f"metric 'cost' cannot be measured: the price of {names} is unknown; {advice}")
    if unpriced:
        return [f"the price of {names} is unknown, so neither are the costs; {advice}"]
    if request.max_output_tokens is None:
        return [
            f"the estimated cost assumes {ASSUMED_OUTPUT_TOKENS} tokens an answer; limit max_tokens in params"
        ]
    return []
