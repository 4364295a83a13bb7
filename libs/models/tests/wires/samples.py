"""Rich answers of every wire, whole and streamed: text, thinking with seals, tool calls, log probabilities, usage.

Written after the vendors' SDK types; they are what the fuzzer breaks and what the drift test must find familiar.
"""

from typing import Any

import orjson
from fairlead_models.providers import WIRES
from fairlead_models.wires.protocol import Wire
from fairlead_models.wires.responses.wire import ResponsesWire

SAMPLED: dict[str, Wire] = {
    "openai": WIRES["openai-native"],
    "responses": ResponsesWire(),
    "anthropic": WIRES["anthropic"],
    "google": WIRES["google"],
    "mistral": WIRES["mistral"],
    "cohere": WIRES["cohere"],
    "openrouter": WIRES["openrouter"],
}

ARGUMENTS = '{"city":"Oslo"}'
OPENAI_USAGE = {
    "prompt_tokens": 120,
    "completion_tokens": 30,
    "total_tokens": 150,
    "prompt_tokens_details": {"cached_tokens": 80, "cache_write_tokens": 20, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 7, "audio_tokens": 0},
}
LOGPROBS = {
    "content": [{"token": "Hi", "logprob": -0.1, "bytes": [72, 105], "top_logprobs": []}],
    "refusal": None,
}


def _openai_call(**more: Any) -> dict[str, Any]:
    return {"id": "call_a", "type": "function", "function": {"name": "look", "arguments": ARGUMENTS}, **more}


OPENAI = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1790000000,
    "model": "gpt-5.4-mini",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "Hello there.",
                "refusal": None,
                "annotations": [],
                "tool_calls": [_openai_call()],
            },
            "logprobs": LOGPROBS,
            "finish_reason": "tool_calls",
        },
        {
            "index": 1,
            "message": {"role": "assistant", "content": None, "refusal": "I cannot."},
            "logprobs": None,
            "finish_reason": "stop",
        },
    ],
    "usage": OPENAI_USAGE,
    "service_tier": "default",
    "system_fingerprint": "fp_1",
}
OPENROUTER = {
    **OPENAI,
    "provider": "Anthropic",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "Hello there.",
                "reasoning": "Hm.",
                "reasoning_details": [
                    {
                        "type": "reasoning.text",
                        "text": "Hm.",
                        "signature": "c2ln",
                        "format": "anthropic-claude-v1",
                    }
                ],
            },
            "native_finish_reason": "end_turn",
            "finish_reason": "stop",
        }
    ],
}
MISTRAL = {
    "id": "cmpl-1",
    "object": "chat.completion",
    "created": 1790000000,
    "model": "magistral-medium-latest",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}], "closed": True},
                    {"type": "text", "text": "Hello there."},
                ],
                "tool_calls": [_openai_call(index=0)],
                "prefix": False,
            },
            "finish_reason": "tool_calls",
        }
    ],
    "usage": {"prompt_tokens": 120, "completion_tokens": 30, "total_tokens": 150, "num_cached_tokens": 80},
}
OUTPUT: list[dict[str, Any]] = [
    {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "Hm."}, {"type": "summary_text", "text": "Well."}],
        "encrypted_content": "c2ln",
    },
    {
        "type": "message",
        "id": "msg_1",
        "status": "completed",
        "role": "assistant",
        "phase": "final_answer",
        "content": [
            {"type": "output_text", "text": "Hello there.", "annotations": [], "logprobs": []},
            {"type": "refusal", "refusal": "Not more."},
        ],
    },
    {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "call_a",
        "name": "look",
        "arguments": ARGUMENTS,
        "status": "completed",
    },
]
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1790000000,
    "completed_at": 1790000001,
    "status": "completed",
    "background": False,
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "max_output_tokens": None,
    "model": "gpt-5.6",
    "output": OUTPUT,
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": "high", "summary": "auto"},
    "service_tier": "default",
    "store": False,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "usage": {
        "input_tokens": 120,
        "input_tokens_details": {"cached_tokens": 80, "cache_write_tokens": 20},
        "output_tokens": 30,
        "output_tokens_details": {"reasoning_tokens": 7},
        "total_tokens": 150,
    },
    "user": None,
    "metadata": {},
}
ANTHROPIC_USAGE = {
    "input_tokens": 20,
    "cache_creation_input_tokens": 20,
    "cache_read_input_tokens": 80,
    "cache_creation": {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 15},
    "output_tokens": 30,
    "output_tokens_details": {"thinking_tokens": 7},
    "service_tier": "standard",
}
ANTHROPIC = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-opus-5-5",
    "content": [
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "cmVk"},
        {"type": "text", "text": "Hello there.", "citations": None},
        {"type": "tool_use", "id": "toolu_a", "name": "look", "input": {"city": "Oslo"}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "stop_details": None,
    "usage": ANTHROPIC_USAGE,
}
GOOGLE_USAGE = {
    "promptTokenCount": 120,
    "cachedContentTokenCount": 80,
    "candidatesTokenCount": 23,
    "thoughtsTokenCount": 7,
    "totalTokenCount": 150,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 120}],
}
GOOGLE = {
    "candidates": [
        {
            "content": {
                "role": "model",
                "parts": [
                    {"text": "Hm.", "thought": True},
                    {"text": "Hello there.", "thoughtSignature": "c2ln"},
                    {
                        "functionCall": {"id": "fc1", "name": "look", "args": {"city": "Oslo"}},
                        "thoughtSignature": "c2lnbg==",
                    },
                ],
            },
            "finishReason": "STOP",
            "index": 0,
            "avgLogprobs": -0.1,
            "logprobsResult": {
                "topCandidates": [{"candidates": [{"token": "Hi", "tokenId": 1, "logProbability": -0.1}]}],
                "chosenCandidates": [{"token": "Hi", "tokenId": 1, "logProbability": -0.1}],
            },
            "safetyRatings": [],
        }
    ],
    "usageMetadata": GOOGLE_USAGE,
    "modelVersion": "gemini-3.8-flash",
    "responseId": "rid1",
}
COHERE_USAGE = {
    "billed_units": {"input_tokens": 120, "output_tokens": 30},
    "tokens": {"input_tokens": 180, "output_tokens": 30},
    "cached_tokens": 80,
}
COHERE = {
    "id": "c1",
    "finish_reason": "TOOL_CALL",
    "message": {
        "role": "assistant",
        "tool_plan": "I will look.",
        "content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Hello there."}],
        "tool_calls": [_openai_call()],
    },
    "logprobs": [{"text": "Hi", "token_ids": [1], "logprobs": [-0.1]}],
    "usage": COHERE_USAGE,
}

WHOLE: dict[str, dict[str, Any]] = {
    "openai": OPENAI,
    "responses": RESPONSE,
    "anthropic": ANTHROPIC,
    "google": GOOGLE,
    "mistral": MISTRAL,
    "cohere": COHERE,
    "openrouter": OPENROUTER,
}


def _chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 1790000000, "model": "m"}
    return {**head, "choices": [choice], **more}


_STREAMED_CALL = [
    _chunk(
        {
            "tool_calls": [
                {
                    "index": 0,
                    "id": "call_a",
                    "type": "function",
                    "function": {"name": "look", "arguments": ""},
                }
            ]
        }
    ),
    _chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"city":'}}]}),
    _chunk({"tool_calls": [{"index": 0, "function": {"arguments": '"Oslo"}'}}]}),
]
_TEXT = [
    _chunk({"role": "assistant", "content": ""}),
    _chunk({"content": "Hello"}),
    _chunk({"content": " there."}),
]
_END = _chunk({}, "tool_calls")
_USAGE = {**_chunk({}), "choices": [], "usage": OPENAI_USAGE}

EVENTS: dict[str, list[dict[str, Any]]] = {
    "openai": [*_TEXT, *_STREAMED_CALL, _END, _USAGE],
    "openrouter": [
        _chunk({"role": "assistant", "content": "", "reasoning": "Hm."}, provider="Anthropic"),
        _chunk(
            {
                "content": "",
                "reasoning_details": [
                    {"type": "reasoning.text", "text": "", "signature": "c2ln", "index": 0}
                ],
            }
        ),
        *_TEXT[1:],
        *_STREAMED_CALL,
        _END,
        _USAGE,
    ],
    "mistral": [
        _chunk({"role": "assistant", "content": ""}),
        _chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}]}),
        *_TEXT[1:],
        _chunk({"content": "", "tool_calls": [_openai_call(index=0)]}, "tool_calls", usage=MISTRAL["usage"]),
    ],
    "anthropic": [
        {
            "type": "message_start",
            "message": {
                **ANTHROPIC,
                "content": [],
                "stop_reason": None,
                "usage": {**ANTHROPIC_USAGE, "output_tokens": 1},
            },
        },
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "thinking", "thinking": "", "signature": ""},
        },
        {"type": "ping"},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm."}},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "signature_delta", "signature": "c2ln"},
        },
        {"type": "content_block_stop", "index": 0},
        {
            "type": "content_block_start",
            "index": 1,
            "content_block": {"type": "redacted_thinking", "data": "cmVk"},
        },
        {"type": "content_block_stop", "index": 1},
        {"type": "content_block_start", "index": 2, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 2, "delta": {"type": "text_delta", "text": "Hello"}},
        {"type": "content_block_delta", "index": 2, "delta": {"type": "text_delta", "text": " there."}},
        {"type": "content_block_stop", "index": 2},
        {
            "type": "content_block_start",
            "index": 3,
            "content_block": {"type": "tool_use", "id": "toolu_a", "name": "look", "input": {}},
        },
        {
            "type": "content_block_delta",
            "index": 3,
            "delta": {"type": "input_json_delta", "partial_json": '{"city":'},
        },
        {
            "type": "content_block_delta",
            "index": 3,
            "delta": {"type": "input_json_delta", "partial_json": '"Oslo"}'},
        },
        {"type": "content_block_stop", "index": 3},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use", "stop_sequence": None},
            "usage": {"output_tokens": 30, "output_tokens_details": {"thinking_tokens": 7}},
        },
        {"type": "message_stop"},
    ],
    "google": [
        {
            "candidates": [{"content": {"parts": [part], "role": "model"}, "index": 0}],
            "usageMetadata": {"promptTokenCount": 120, "totalTokenCount": 120},
            "modelVersion": "gemini-3.8-flash",
            "responseId": "rid1",
        }
        for part in (
            {"text": "Hm.", "thought": True},
            {"text": "Hello"},
            {"text": " there.", "thoughtSignature": "c2ln"},
        )
    ]
    + [
        {
            "candidates": [
                {
                    "content": {
                        "parts": [
                            {
                                "functionCall": {"id": "fc1", "name": "look", "args": {"city": "Oslo"}},
                                "thoughtSignature": "c2lnbg==",
                            }
                        ],
                        "role": "model",
                    },
                    "finishReason": "STOP",
                    "index": 0,
                }
            ],
            "usageMetadata": GOOGLE_USAGE,
            "modelVersion": "gemini-3.8-flash",
            "responseId": "rid1",
        }
    ],
    "cohere": [
        {
            "type": "message-start",
            "id": "c1",
            "delta": {
                "message": {
                    "role": "assistant",
                    "content": [],
                    "tool_plan": "",
                    "tool_calls": [],
                    "citations": [],
                }
            },
        },
        {
            "type": "content-start",
            "index": 0,
            "delta": {"message": {"content": {"type": "thinking", "thinking": ""}}},
        },
        {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"thinking": "Hm."}}}},
        {"type": "content-end", "index": 0},
        {
            "type": "content-start",
            "index": 1,
            "delta": {"message": {"content": {"type": "text", "text": ""}}},
        },
        {
            "type": "content-delta",
            "index": 1,
            "delta": {"message": {"content": {"text": "Hello"}}},
            "logprobs": {"text": "Hello", "token_ids": [1], "logprobs": [-0.1]},
        },
        {"type": "content-delta", "index": 1, "delta": {"message": {"content": {"text": " there."}}}},
        {"type": "content-end", "index": 1},
        {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "I will look."}}},
        {
            "type": "tool-call-start",
            "index": 0,
            "delta": {
                "message": {
                    "tool_calls": {
                        "id": "call_a",
                        "type": "function",
                        "function": {"name": "look", "arguments": ""},
                    }
                }
            },
        },
        {
            "type": "tool-call-delta",
            "index": 0,
            "delta": {"message": {"tool_calls": {"function": {"arguments": ARGUMENTS}}}},
        },
        {"type": "tool-call-end", "index": 0},
        {"type": "message-end", "id": "c1", "delta": {"finish_reason": "TOOL_CALL", "usage": COHERE_USAGE}},
    ],
}


def _numbered(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


_OPEN = {**RESPONSE, "status": "in_progress", "output": [], "usage": None}
_THOUGHT, _SAID, _CALLED = OUTPUT
EVENTS["responses"] = _numbered(
    [
        {"type": "response.created", "response": _OPEN},
        {"type": "response.in_progress", "response": _OPEN},
        {"type": "response.output_item.added", "output_index": 0, "item": {**_THOUGHT, "summary": []}},
        {
            "type": "response.reasoning_summary_part.added",
            "item_id": "rs_1",
            "output_index": 0,
            "summary_index": 0,
            "part": {"type": "summary_text", "text": ""},
        },
        {
            "type": "response.reasoning_summary_text.delta",
            "item_id": "rs_1",
            "output_index": 0,
            "summary_index": 0,
            "delta": "Hm.",
        },
        {"type": "response.output_item.done", "output_index": 0, "item": _THOUGHT},
        {"type": "response.output_item.added", "output_index": 1, "item": {**_SAID, "content": []}},
        {
            "type": "response.content_part.added",
            "item_id": "msg_1",
            "output_index": 1,
            "content_index": 0,
            "part": {"type": "output_text", "text": "", "annotations": []},
        },
        {
            "type": "response.output_text.delta",
            "item_id": "msg_1",
            "output_index": 1,
            "content_index": 0,
            "delta": "Hello",
            "logprobs": [],
        },
        {
            "type": "response.output_text.delta",
            "item_id": "msg_1",
            "output_index": 1,
            "content_index": 0,
            "delta": " there.",
            "logprobs": [],
        },
        {
            "type": "response.output_text.done",
            "item_id": "msg_1",
            "output_index": 1,
            "content_index": 0,
            "text": "Hello there.",
            "logprobs": [],
        },
        {"type": "response.output_item.done", "output_index": 1, "item": _SAID},
        {"type": "response.output_item.added", "output_index": 2, "item": {**_CALLED, "arguments": ""}},
        {
            "type": "response.function_call_arguments.delta",
            "item_id": "fc_1",
            "output_index": 2,
            "delta": ARGUMENTS,
        },
        {
            "type": "response.function_call_arguments.done",
            "item_id": "fc_1",
            "output_index": 2,
            "name": "look",
            "arguments": ARGUMENTS,
        },
        {"type": "response.output_item.done", "output_index": 2, "item": _CALLED},
        {"type": "response.completed", "response": RESPONSE},
    ]
)

NAMED = ("anthropic", "cohere", "responses")
"""Wires whose events have names."""


def stream_of(wire: str, events: list[dict[str, Any]]) -> bytes:
    """The bytes of these events."""
    rows = []
    for found in events:
        name = f"event: {found.get('type')}\n".encode() if wire in NAMED else b""
        rows.append(name + b"data: " + orjson.dumps(found) + b"\n\n")
    if wire in ("openai", "openrouter", "mistral"):
        rows.append(b"data: [DONE]\n\n")
    return b"".join(rows)
