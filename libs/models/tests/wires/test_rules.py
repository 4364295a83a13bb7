"""The rules of single vendors and models: what goes out, and what is said of what does not."""

import json
from typing import Any

import pytest
from fairlead_common.outcomes import ErrorClass
from fairlead_models import seals
from fairlead_models.errors import ProviderError
from fairlead_models.providers import WIRES
from fairlead_models.unified import ChatRequest, Message, Thought
from fairlead_models.wires.anthropic.schemas import closed
from fairlead_models.wires.anthropic.wire import AnthropicWire
from fairlead_models.wires.mistral.call_ids import CallIds, acceptable
from fairlead_models.wires.openai import dialects
from fairlead_models.wires.openai.wire import AzureWire

from libs.models.tests.wires.asking import HI, HISTORY, TIME, WEATHER, chat, messages, request, responses

FUNCTION: Any = WEATHER["function"]


def sent(wire: str, asked: ChatRequest, model: str) -> tuple[dict[str, Any], list[str], str]:
    """(body, warnings, path)."""
    encoded = WIRES[wire].encode(asked, model, stream=False)
    return json.loads(encoded.body), [str(each) for each in encoded.warnings], encoded.path


@pytest.mark.parametrize(
    ("model", "body", "path"),
    [
        ("gpt-4.1-mini", {"tools": [TIME]}, "/chat/completions"),
        ("gpt-5.4-mini", {"tools": [TIME]}, "/chat/completions"),
        ("gpt-5.4-mini", {"tools": [TIME], "reasoning_effort": "low"}, "/responses"),
        ("gpt-5.4-mini", {"reasoning_effort": "low"}, "/chat/completions"),
        ("gpt-5.6-terra", {"tools": [TIME]}, "/responses"),
        ("gpt-5.6-terra", {"tools": [TIME], "reasoning_effort": "none"}, "/chat/completions"),
        ("gpt-5.6-terra", {}, "/chat/completions"),
        ("gpt-5.6-sol", {}, "/responses"),
        ("gpt-6-luna", {"tools": [TIME]}, "/responses"),
        ("gpt-5.5-pro", {}, "/responses"),
    ],
)
def test_openai_s_models_that_reason_take_tools_on_the_other_api(
    model: str, body: dict[str, Any], path: str
) -> None:
    assert sent("openai-native", chat(**body), model)[2] == path
    assert sent("openai", chat(**body), model)[2] == "/chat/completions"


def test_the_other_api_stores_nothing_and_says_what_it_lacks() -> None:
    asked = chat(tools=[WEATHER], seed=1, stop=["x"], n=2, verbosity="low", logprobs=True, max_tokens=5)
    body, warnings, _ = sent("openai-native", asked, "gpt-6-luna")
    assert (body["store"], body["include"]) == (False, ["reasoning.encrypted_content"])
    assert {**body["tools"][0], "type": None} == {"type": None, **FUNCTION}
    assert (body["text"], body["max_output_tokens"]) == ({"verbosity": "low"}, 16)
    assert [each.partition(":")[0] for each in warnings] == ["stop", "seed", "n", "logprobs"]


@pytest.mark.parametrize(
    ("wire", "model", "effort", "found", "told"),
    [
        ("openai-native", "gpt-5.6-terra", "minimal", {"reasoning_effort": "low"}, True),
        ("openai-native", "gpt-5", "none", {"reasoning_effort": "minimal"}, True),
        ("openai-native", "gpt-5.4", "max", {"reasoning_effort": "xhigh"}, True),
        ("openai-native", "gpt-4.1", "high", {}, True),
        ("openai-native", "gpt-4.1", "none", {}, False),
        ("openai-native", "gpt-5.4", "strange", {}, True),
        ("openai", "some-model", "strange", {"reasoning_effort": "strange"}, False),
        (
            "anthropic",
            "claude-opus-5-5",
            "xhigh",
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}},
            False,
        ),
        ("anthropic", "claude-opus-5-5", "none", {"thinking": {"type": "disabled"}}, False),
        ("anthropic", "claude-sonnet-5-5", "none", {"output_config": {"effort": "low"}}, True),
        (
            "anthropic",
            "claude-sonnet-4-6",
            "xhigh",
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
            True,
        ),
        (
            "anthropic",
            "claude-haiku-4-5",
            "low",
            {"thinking": {"type": "enabled", "budget_tokens": 1024}},
            False,
        ),
        (
            "google",
            "gemini-3.8-flash",
            "minimal",
            {"thinkingLevel": "MINIMAL", "includeThoughts": True},
            False,
        ),
        ("google", "gemini-3.8-flash", "none", {"thinkingLevel": "MINIMAL", "includeThoughts": True}, True),
        ("google", "gemini-3.1-pro-preview", "max", {"thinkingLevel": "HIGH", "includeThoughts": True}, True),
        ("google", "gemini-2.5-flash", "medium", {"thinkingBudget": 8192, "includeThoughts": True}, False),
        ("google", "gemini-2.5-flash", "none", {"thinkingBudget": 0}, False),
        ("mistral", "mistral-medium-3-5", "low", {"reasoning_effort": "high"}, True),
        ("mistral", "magistral-medium-latest", "high", {"prompt_mode": "reasoning"}, False),
        ("mistral", "mistral-large-4", "high", {}, True),
        (
            "cohere",
            "command-a-reasoning-08-2025",
            "low",
            {"thinking": {"type": "enabled", "token_budget": 1024}},
            False,
        ),
        ("cohere", "command-a-reasoning-08-2025", "none", {"thinking": {"type": "disabled"}}, False),
        ("cohere", "command-a-03-2025", "low", {}, True),
        ("xai", "grok-4.3", "xhigh", {"reasoning_effort": "high"}, True),
    ],
)
def test_effort_in_each_model_s_words(
    wire: str, model: str, effort: str, found: dict[str, Any], told: bool
) -> None:
    body, warnings, _ = sent(wire, chat(reasoning_effort=effort), model)
    held = body.get("generationConfig", {}).get("thinkingConfig", {}) if wire == "google" else body
    keys = {"reasoning_effort", "thinking", "output_config", "prompt_mode", "thinkingLevel", "thinkingBudget"}
    keys |= {"includeThoughts"}
    assert {key: value for key, value in held.items() if key in keys} == found
    assert bool(warnings) is told


@pytest.mark.parametrize(
    ("wire", "model", "found"),
    [
        ("anthropic", "claude-haiku-4-5", {"type": "enabled", "budget_tokens": 2000}),
        ("anthropic", "claude-opus-5-5", {"type": "adaptive", "display": "summarized"}),
        ("google", "gemini-2.5-flash", {"thinkingBudget": 2000, "includeThoughts": True}),
        ("google", "gemini-3.8-flash", {"thinkingLevel": "LOW", "includeThoughts": True}),
        ("cohere", "command-a-reasoning-08-2025", {"type": "enabled", "token_budget": 2000}),
        ("openai-native", "gpt-5.4", "low"),
    ],
)
def test_a_budget_in_each_model_s_words(wire: str, model: str, found: Any) -> None:
    asked = messages(thinking={"type": "enabled", "budget_tokens": 2000})
    body, warnings, _ = sent(wire, asked, model)
    held = body.get("thinking") or body.get("generationConfig", {}).get("thinkingConfig")
    assert (held or body.get("reasoning_effort")) == found
    exact = {"claude-haiku-4-5", "gemini-2.5-flash", "command-a-reasoning-08-2025"}
    assert any("budget" in each for each in warnings) is (model not in exact)


def test_a_budget_must_fit_into_the_limit() -> None:
    asked = messages(max_tokens=1500, thinking={"type": "enabled", "budget_tokens": 4000})
    body, warnings, _ = sent("anthropic", asked, "claude-haiku-4-5")
    assert body["thinking"]["budget_tokens"] == 4000  # the caller's own words go out as they are
    asked.raw = None
    body, warnings, _ = sent("anthropic", asked, "claude-haiku-4-5")
    assert (body["thinking"]["budget_tokens"], warnings) == (
        1499,
        ["thinking.budget_tokens: 4000 is sent as 1499"],
    )
    small = chat(max_tokens=100, reasoning_effort="high")
    body, warnings, _ = sent("anthropic", small, "claude-haiku-4-5")
    assert "thinking" not in body
    assert "max_tokens leaves less" in warnings[0]


def test_a_claude_that_must_call_a_tool_cannot_think() -> None:
    body, warnings, _ = sent(
        "anthropic",
        chat(tools=[TIME], tool_choice="required", reasoning_effort="high"),
        "claude-haiku-5-5",
    )
    assert "thinking" not in body
    assert body["tool_choice"] == {"type": "any"}
    assert "made to call a tool" in warnings[0]


@pytest.mark.parametrize("model", ["claude-opus-5-5", "claude-sonnet-5-5", "claude-fable-5-1"])
def test_claudes_that_cannot_be_made_to_call_a_tool_are_passed_over(model: str) -> None:
    with pytest.raises(ProviderError) as refused:
        sent("anthropic", chat(tools=[TIME], tool_choice="required"), model)
    assert (refused.value.error_class, refused.value.param) == (ErrorClass.UNSUPPORTED, "tool_choice")


def test_a_choice_of_a_tool_that_is_not_there_is_the_caller_s_fault() -> None:
    for choice in ("required", {"type": "function", "function": {"name": "other"}}):
        with pytest.raises(ProviderError) as refused:
            sent("anthropic", chat(tools=[TIME] if choice != "required" else [], tool_choice=choice), "m")
        assert (refused.value.error_class, refused.value.status) == (ErrorClass.BAD_REQUEST, 400)


def test_anthropic_gets_the_limit_it_demands() -> None:
    assert sent("anthropic", chat(), "claude-haiku-4-5")[0]["max_tokens"] == 64000
    assert sent("anthropic", chat(), "claude-of-tomorrow")[0]["max_tokens"] == 4096
    body, warnings, _ = sent("anthropic", chat(max_tokens=999_999), "claude-haiku-4-5")
    assert body["max_tokens"] == 64000
    assert warnings == ["max_tokens: 999999 is more than the model's 64000; sent as 64000"]


def test_anthropic_s_version_is_pinned_for_the_provider_and_for_single_models() -> None:
    wire = AnthropicWire("2026-10-21", {"claude-haiku-4-5": "2023-06-01"})
    for model, version, kept in (
        ("claude-haiku-4-5", "2023-06-01", 0.5),
        ("claude-haiku-5-5", "2026-10-21", None),
    ):
        encoded = wire.encode(chat(temperature=0.5), model, stream=False)
        assert encoded.headers == {"anthropic-version": version}
        assert json.loads(encoded.body).get("temperature") == kept
        assert bool(encoded.warnings) is (kept is None)
    raw = wire.encode(messages(temperature=0.5), "claude-haiku-5-5", stream=False)
    assert "temperature" not in json.loads(raw.body)
    assert [each.param for each in raw.warnings] == ["temperature"]


def test_system_messages_find_their_place() -> None:
    late = [HI, {"role": "assistant", "content": "Yes?"}, {"role": "system", "content": "Be brief."}, HI]
    body, warnings, _ = sent("anthropic", chat(messages=late), "claude-haiku-5-5")
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant", "system", "user"]
    body, warnings, _ = sent("anthropic", chat(messages=late), "claude-haiku-4-5")
    assert body["system"] == "Be brief."
    assert warnings == ["messages: system messages inside the conversation are moved to its start"]
    alone = chat(
        messages=[{"role": "system", "content": "Be brief."}, {"role": "system", "content": "Say hi."}]
    )
    body, warnings, _ = sent("google", alone, "gemini-3.8-flash")
    assert body["contents"] == [{"role": "user", "parts": [{"text": "Say hi."}]}]
    assert body["systemInstruction"] == {"parts": [{"text": "Be brief."}]}
    assert warnings == ["messages: the last system message is sent as the user's"]


def test_schemas_are_closed_for_anthropic_and_what_is_lost_is_named() -> None:
    schema = {
        "type": "object",
        "properties": {
            "count": {"type": "integer", "minimum": 1, "description": "How many"},
            "when": {"type": "string", "format": "date"},
            "how": {"type": "string", "format": "mood"},
            "list": {"type": "array", "items": {"type": "object", "properties": {}}, "minItems": 3},
            "either": {"oneOf": [{"type": "string"}, {"type": "null"}]},
        },
        "$defs": {"x": {"type": "object", "additionalProperties": True}},
    }
    found, lost = closed(schema)
    assert found["additionalProperties"] is False
    properties = found["properties"]
    assert properties["count"]["description"] == "How many\n\n{minimum: 1}"
    assert properties["when"] == {"type": "string", "format": "date"}
    assert "format" not in properties["how"]
    assert properties["list"]["items"]["additionalProperties"] is False
    assert properties["either"] == {"anyOf": [{"type": "string"}, {"type": "null"}]}
    assert found["$defs"]["x"]["additionalProperties"] is False
    assert lost == ["additionalProperties", "format", "minItems", "minimum"]
    assert schema["properties"]["count"]["minimum"] == 1  # type: ignore[index]


def test_only_newer_geminis_want_seals_on_calls_and_get_a_stand_in() -> None:
    body, _, _ = sent("google", chat(messages=HISTORY, tools=[WEATHER]), "gemini-3.8-flash")
    parts = [part for content in body["contents"] for part in content["parts"] if "functionCall" in part]
    assert [part.get("thoughtSignature") for part in parts] == ["skip_thought_signature_validator", None]
    body, _, _ = sent("google", chat(messages=HISTORY, tools=[WEATHER]), "gemini-2.5-flash")
    assert b"skip_thought" not in json.dumps(body).encode()


def test_gemini_checks_strict_tools_and_refuses_schema_with_tools_where_it_cannot() -> None:
    body, _, _ = sent("google", chat(tools=[WEATHER]), "gemini-3.8-flash")
    assert body["toolConfig"] == {"functionCallingConfig": {"mode": "VALIDATED"}}
    assert "toolConfig" not in sent("google", chat(tools=[TIME]), "gemini-3.8-flash")[0]
    both = {"tools": [TIME], "response_format": {"type": "json_object"}}
    assert "tools" in sent("google", chat(**both), "gemini-3.8-flash")[0]
    with pytest.raises(ProviderError, match="together"):
        sent("google", chat(**both), "gemini-2.5-flash")
    with pytest.raises(ProviderError, match="together"):
        sent("cohere", chat(**both), "command-a-03-2025")


@pytest.mark.parametrize(
    ("wire", "body", "name", "value"),
    [
        ("cohere", {"top_p": 1}, "p", 0.99),
        ("cohere", {"frequency_penalty": 2}, "frequency_penalty", 1),
        ("cohere", {"presence_penalty": -1}, "presence_penalty", 0),
        ("cohere", {"stop": list("abcdef")}, "stop_sequences", list("abcde")),
        ("cohere", {"top_k": 900}, "k", 500),
        ("mistral", {"temperature": 2}, "temperature", 1.5),
        ("openai-native", {"stop": list("abcdef")}, "stop", list("abcd")),
    ],
)
def test_ranges_are_kept_and_it_is_said(wire: str, body: dict[str, Any], name: str, value: Any) -> None:
    found, warnings, _ = sent(wire, chat(**body), "gpt-4.1" if wire == "openai-native" else "command-a")
    assert found[name] == value
    assert len(warnings) == 1


def test_cohere_forces_one_tool_by_offering_no_other() -> None:
    choice = {"type": "function", "function": {"name": "get_time"}}
    body, _, _ = sent("cohere", chat(tools=[WEATHER, TIME], tool_choice=choice), "command-a-03-2025")
    assert [tool["function"]["name"] for tool in body["tools"]] == ["get_time"]
    assert body["tool_choice"] == "REQUIRED"


def test_mistral_gets_its_ids_and_an_acknowledgement_where_a_user_speaks_after_a_tool() -> None:
    history = [*HISTORY[:5], {"role": "user", "content": "And now?"}]
    body, warnings, _ = sent("mistral", chat(messages=history), "mistral-medium-3-5")
    ids = [call["id"] for message in body["messages"] for call in message.get("tool_calls", ())]
    assert len(set(ids)) == 2
    assert all(acceptable(each) for each in ids)
    assert [m["tool_call_id"] for m in body["messages"] if m["role"] == "tool"] == ids
    assert [m["role"] for m in body["messages"]][-3:] == ["tool", "assistant", "user"]
    assert len(warnings) == 1


def test_mistral_goes_on_with_a_begun_answer_and_others_say_that_they_do_not() -> None:
    asked = messages(messages=[HI, {"role": "assistant", "content": "The answer is"}])
    assert sent("mistral", asked, "mistral-large-4")[0]["messages"][-1]["prefix"] is True
    assert sent("anthropic", asked, "claude-haiku-4-5")[1] == []
    body, warnings, _ = sent("anthropic", asked, "claude-opus-5-5")
    assert body["messages"][-1] == {"role": "user", "content": "Continue."}
    assert len(warnings) == 1
    for wire, model in (
        ("openai-native", "gpt-4.1"),
        ("google", "gemini-3.8-flash"),
        ("cohere", "command-a"),
    ):
        assert "does not go on" in sent(wire, asked, model)[1][0]


def test_ids_are_mapped_one_to_one_and_back() -> None:
    ids = CallIds()
    long = [f"call_{number}" for number in range(500)]
    short = [ids.short(each) for each in long]
    assert len(set(short)) == 500
    assert [ids.original(each) for each in short] == long
    assert [CallIds().short(each) for each in long] == short
    assert ids.short("abcDEF123") == "abcDEF123"
    taken = CallIds()
    assert taken.short(short[0]) == short[0]
    assert taken.short(long[0]) != short[0]  # no two ids become one


@pytest.mark.parametrize(
    ("wire", "body", "gone"),
    [
        ("groq", {"logprobs": True, "frequency_penalty": 1, "n": 2}, {"logprobs", "frequency_penalty", "n"}),
        ("groq", {"logprobs": False, "frequency_penalty": 0, "n": 1}, set()),
        ("deepseek", {"seed": 1, "parallel_tool_calls": False}, {"seed", "parallel_tool_calls"}),
        ("ollama", {"user": "u", "n": 3}, {"user", "n"}),
        ("xai", {"logit_bias": {"1": 1}}, {"logit_bias"}),
        ("vllm", {"top_k": 3, "n": 2, "min_p": 0.1}, set()),
    ],
)
def test_dialects_leave_out_what_they_refuse(wire: str, body: dict[str, Any], gone: set[str]) -> None:
    found, warnings, _ = sent(wire, chat(**body), "any")
    assert {each.partition(":")[0] for each in warnings} == gone
    assert not gone & found.keys()


def test_dialects_name_limits_roles_and_thoughts_in_their_own_way() -> None:
    assert sent("groq", chat(max_tokens=9), "m")[0]["max_completion_tokens"] == 9
    assert sent("vllm", chat(max_completion_tokens=9), "m")[0]["max_tokens"] == 9
    told = [{"role": "developer", "content": "Be brief."}, HI]
    assert sent("together", chat(messages=told), "m")[0]["messages"][0]["role"] == "system"
    assert sent("openai-native", chat(messages=told), "m")[0]["messages"][0]["role"] == "developer"
    details = [
        {"type": "reasoning.text", "text": "Hm.", "signature": "s", "format": "openrouter", "index": 0}
    ]
    history = [
        HI,
        {"role": "assistant", "content": "A", "reasoning_content": "Hm.", "reasoning_details": details},
        HI,
    ]
    for wire, field in (("openrouter", "reasoning_details"), ("groq", None), ("openai-native", None)):
        turn = sent(wire, chat(messages=history), "m")[0]["messages"][1]
        assert set(turn) == {"role", "content", *([field] if field else [])}
    plain = [HI, {"role": "assistant", "content": "A", "reasoning": "Hm."}, HI]
    assert sent("deepseek", chat(messages=plain), "m")[0]["messages"][1]["reasoning_content"] == "Hm."
    assert sent("groq", chat(messages=plain), "m")[0]["messages"][1]["reasoning"] == "Hm."


def test_ollama_looks_at_data_only_and_cannot_be_forced() -> None:
    with pytest.raises(ProviderError, match="not by URL"):
        sent("ollama", request("image_url"), "llava")
    assert "image_url" in json.dumps(sent("ollama", request("image_data"), "llava")[0])
    with pytest.raises(ProviderError, match="cannot be made"):
        sent("ollama", request("tools_required"), "llama")
    assert "tool_choice" not in sent("ollama", request("tools_auto"), "llama")[0]
    assert "tools" not in sent("ollama", request("tools_none"), "llama")[0]


@pytest.mark.parametrize(
    ("version", "chat_path", "responses_path", "models_path"),
    [
        ("v1", "/openai/v1/chat/completions", "/openai/v1/responses", "/openai/v1/models"),
        (
            "preview",
            "/openai/v1/chat/completions?api-version=preview",
            "/openai/v1/responses?api-version=preview",
            "/openai/v1/models",
        ),
        (
            "2025-04-01-preview",
            "/openai/deployments/my%20gpt/chat/completions?api-version=2025-04-01-preview",
            "/openai/responses?api-version=2025-04-01-preview",
            "/openai/models?api-version=2025-04-01-preview",
        ),
    ],
)
def test_azure_s_addresses(version: str, chat_path: str, responses_path: str, models_path: str) -> None:
    wire = AzureWire(dialects.OPENAI, version)
    assert wire.encode(chat(), "my gpt", stream=False).path == chat_path
    assert wire.encode(chat(), "gpt-5.6-sol", stream=False).path == responses_path
    assert wire.models_path() == models_path


def test_parameters_that_change_the_meaning_are_refused_not_dropped() -> None:
    meaningful: tuple[dict[str, Any], ...] = (
        {"modalities": ["text", "audio"]},
        {"web_search_options": {}},
        {"functions": []},
    )
    for body in meaningful:
        with pytest.raises(ProviderError) as refused:
            sent("google", chat(**body), "gemini-3.8-flash")
        assert refused.value.error_class is ErrorClass.UNSUPPORTED
    with pytest.raises(ProviderError, match="web_search"):
        sent(
            "openai-native",
            messages(tools=[{"type": "web_search_20260209", "name": "web_search"}]),
            "gpt-4.1",
        )
    with pytest.raises(ProviderError, match="file_search"):
        sent("anthropic", responses(tools=[{"type": "file_search"}]), "claude-haiku-5-5")


def test_hints_of_price_and_caching_are_notes() -> None:
    cached = [{"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}]
    asked = messages(messages=[{"role": "user", "content": cached}], service_tier="auto")
    encoded = WIRES["google"].encode(asked, "gemini-3.8-flash", stream=False)
    assert {(each.param, each.note) for each in encoded.warnings} == {
        ("cache_control", True),
        ("service_tier", True),
    }
    through = WIRES["anthropic"].encode(asked, "claude-haiku-5-5", stream=False)
    assert json.loads(through.body)["messages"][0]["content"] == cached
    assert not through.warnings


def test_images_that_tools_return_reach_the_model_everywhere() -> None:
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    asked = messages(
        messages=[
            HI,
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "look", "input": {}}]},
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "t1",
                        "content": [{"type": "text", "text": "x"}, picture],
                    }
                ],
            },
        ]
    )
    asked.raw = None
    chat_body = sent("openai-native", asked, "gpt-4.1")[0]["messages"]
    assert [message["role"] for message in chat_body] == ["user", "assistant", "tool", "user"]
    assert chat_body[-1]["content"][1]["image_url"]["url"] == "data:image/png;base64,AAAA"
    for wire, model in (
        ("anthropic", "claude-haiku-5-5"),
        ("google", "gemini-3.8-flash"),
        ("mistral", "mistral-large-4"),
        ("cohere", "command-a-vision-07-2025"),
        ("openai-native", "gpt-5.6-sol"),
    ):
        assert "AAAA" in json.dumps(sent(wire, asked, model)[0]), wire


def test_nesting_beyond_what_json_libraries_write_is_the_caller_s_fault() -> None:
    deep: dict[str, Any] = {}
    for _ in range(400):
        deep = {"properties": {"x": deep}}
    asked = chat()
    asked.raw = None
    asked.response_format = chat(
        response_format={"type": "json_schema", "json_schema": {"name": "d", "schema": {}}}
    ).response_format
    if asked.response_format is not None:
        asked.response_format.schema = deep
    for wire in ("openai", "google", "mistral", "cohere"):
        with pytest.raises(ProviderError) as refused:
            WIRES[wire].encode(asked, "any", stream=False)
        assert refused.value.error_class is ErrorClass.BAD_REQUEST


def test_seals_are_packed_and_read_back() -> None:
    for thought in (
        Thought("Hm.", "c2VhbA==", "google", call_id="c"),
        Thought(None, "x", "anthropic", redacted=True),
        Thought("only text"),
    ):
        assert seals.unpack(seals.pack(thought), thought.text) == thought
        assert seals.thoughts_of(seals.details([thought])) == [thought]
    for strange in ("c2VhbA==", "", "fairlead1.", "fairlead1.%%%", "fairlead1.bnVsbA==", "fairlead1.W10="):
        assert seals.unpack(strange) is None
    assert seals.thoughts_of([7, {"type": "other"}, {"type": "reasoning.text", "text": 7}]) == [Thought()]
    assert Message("assistant", thoughts=[Thought("x")]).text() == ""
