"""How failures are classified: a table over the captured errors of all vendors, and the rules behind it."""

import pytest
from fairlead_common.outcomes import ErrorClass
from fairlead_models.failures import classify, classify_in_stream, retry_after_s
from fairlead_models.providers import WIRES
from fairlead_models.rate_limits import RateLimits, rate_limits, seconds_until

from libs.models.tests.captured import absent, answered, captures
from libs.models.tests.wires.test_captured_answers import VENDORS

NOW = 1_790_000_000.0

EXPECTED = {
    "openai/error_400_invalid_value": ErrorClass.BAD_REQUEST,
    "openai/error_401_invalid_api_key": ErrorClass.AUTH,
    "openai/error_403_permission_error": ErrorClass.AUTH,
    "openai/error_404_model_not_found": ErrorClass.NOT_FOUND,
    "openai/error_409_conflict": ErrorClass.SERVER_ERROR,
    "openai/error_422_invalid_request_error": ErrorClass.BAD_REQUEST,
    "openai/error_429_insufficient_quota": ErrorClass.QUOTA_EXHAUSTED,
    "openai/error_429_rate_limit_exceeded": ErrorClass.RATE_LIMITED,
    "openai/error_500_server_error": ErrorClass.SERVER_ERROR,
    "openai/error_502_server_error": ErrorClass.SERVER_ERROR,
    "openai/error_503_server_overloaded": ErrorClass.OVERLOADED,
    "openai/error_504_server_error": ErrorClass.SERVER_ERROR,
    "openai/error_529_overloaded_error": ErrorClass.OVERLOADED,
    "openai/error_html_502": ErrorClass.SERVER_ERROR,
    "anthropic/error_400_invalid_request_error": ErrorClass.BAD_REQUEST,
    "anthropic/error_401_authentication_error": ErrorClass.AUTH,
    "anthropic/error_402_billing_error": ErrorClass.QUOTA_EXHAUSTED,
    "anthropic/error_403_permission_error": ErrorClass.AUTH,
    "anthropic/error_404_not_found_error": ErrorClass.NOT_FOUND,
    "anthropic/error_408_timeout_error": ErrorClass.SERVER_ERROR,
    "anthropic/error_409_conflict_error": ErrorClass.SERVER_ERROR,
    "anthropic/error_413_request_too_large": ErrorClass.BAD_REQUEST,
    "anthropic/error_422_invalid_request_error": ErrorClass.BAD_REQUEST,
    "anthropic/error_429_rate_limit_error": ErrorClass.RATE_LIMITED,
    "anthropic/error_500_api_error": ErrorClass.SERVER_ERROR,
    "anthropic/error_502_api_error": ErrorClass.SERVER_ERROR,
    "anthropic/error_503_api_error": ErrorClass.OVERLOADED,
    "anthropic/error_504_timeout_error": ErrorClass.SERVER_ERROR,
    "anthropic/error_529_overloaded_error": ErrorClass.OVERLOADED,
    "google/error_400_FAILED_PRECONDITION": ErrorClass.AUTH,
    "google/error_400_INVALID_ARGUMENT": ErrorClass.BAD_REQUEST,
    "google/error_401_UNAUTHENTICATED": ErrorClass.AUTH,
    "google/error_403_PERMISSION_DENIED": ErrorClass.AUTH,
    "google/error_404_NOT_FOUND": ErrorClass.NOT_FOUND,
    "google/error_429_RESOURCE_EXHAUSTED": ErrorClass.RATE_LIMITED,
    "google/error_499_CANCELLED": ErrorClass.SERVER_ERROR,
    "google/error_500_INTERNAL": ErrorClass.SERVER_ERROR,
    "google/error_503_UNAVAILABLE": ErrorClass.OVERLOADED,
    "google/error_504_DEADLINE_EXCEEDED": ErrorClass.SERVER_ERROR,
    "google/error_stream_429": ErrorClass.RATE_LIMITED,
    "mistral/error_400_invalid_request_error": ErrorClass.BAD_REQUEST,
    "mistral/error_401_detail": ErrorClass.AUTH,
    "mistral/error_403_forbidden": ErrorClass.AUTH,
    "mistral/error_404_not_found": ErrorClass.NOT_FOUND,
    "mistral/error_422_detail": ErrorClass.BAD_REQUEST,
    "mistral/error_429_rate_limited": ErrorClass.RATE_LIMITED,
    "mistral/error_429_service_tier_capacity_exceeded": ErrorClass.OVERLOADED,
    "mistral/error_500_internal_server_error": ErrorClass.SERVER_ERROR,
    "mistral/error_503_unreachable_backend": ErrorClass.OVERLOADED,
    "cohere/error_400": ErrorClass.BAD_REQUEST,
    "cohere/error_401": ErrorClass.AUTH,
    "cohere/error_403": ErrorClass.AUTH,
    "cohere/error_404": ErrorClass.NOT_FOUND,
    "cohere/error_422": ErrorClass.BAD_REQUEST,
    "cohere/error_429": ErrorClass.RATE_LIMITED,
    "cohere/error_498": ErrorClass.AUTH,
    "cohere/error_499": ErrorClass.SERVER_ERROR,
    "cohere/error_500": ErrorClass.SERVER_ERROR,
    "cohere/error_501": ErrorClass.SERVER_ERROR,
    "cohere/error_503": ErrorClass.OVERLOADED,
    "cohere/error_504": ErrorClass.SERVER_ERROR,
}


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_captured_error_has_its_class(vendor: str) -> None:
    names = captures(vendor, "error_")
    if absent(names[0]):
        return
    assert set(names) == {name for name in EXPECTED if name.startswith(vendor)}
    for name in names:
        status, headers, body = answered(name)
        found = VENDORS[vendor].decode_error(status, headers, body)
        assert (found.error_class, found.status) == (EXPECTED[name], status), name
        assert found.message
        if "html" not in name and "stream" not in name and vendor != "google":
            assert found.provider_request_id, name


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("openai/retry_429_retry_after_1s", 1),
        ("openai/retry_429_retry_after_300s", 300),
        ("openai/retry_429_retry_after_ms", 0.25),
        ("openai/retry_429_no_header", None),
        ("anthropic/retry_429_retry_after_1s", 1),
        ("google/retry_default_429", 1),
        ("google/retry_opts3_retry_after_header", 2),
        ("google/error_stream_429", 1),
        ("mistral/retry_conf_429_retry_after", 1),
        ("cohere/retry_default_429_retry_after", 2),
    ],
)
def test_how_long_to_wait_is_read_wherever_it_stands(name: str, seconds: float | None) -> None:
    vendor = name.partition("/")[0]
    if absent(captures(vendor, name.partition("/")[2])[0]):
        return
    status, headers, body = answered(name)
    assert VENDORS[vendor].decode_error(status, headers, body).retry_after_s == seconds


@pytest.mark.parametrize(
    ("wire", "status", "body", "expected"),
    [
        ("openai-native", 429, b'{"error":{"type":"requests","code":"slow_down"}}', ErrorClass.RATE_LIMITED),
        ("openai-native", 503, b'{"error":{"code":"slow_down"}}', ErrorClass.RATE_LIMITED),
        (
            "openai-native",
            400,
            b'{"error":{"code":"context_length_exceeded","type":"invalid_request_error"}}',
            ErrorClass.UNSUPPORTED,
        ),
        ("openai-native", 400, b'{"error":{"code":"unsupported_parameter"}}', ErrorClass.UNSUPPORTED),
        (
            "openai-native",
            400,
            b'{"error":{"code":"billing_hard_limit_reached"}}',
            ErrorClass.QUOTA_EXHAUSTED,
        ),
        ("azure", 404, b'{"error":{"code":"DeploymentNotFound","message":"m"}}', ErrorClass.NOT_FOUND),
        (
            "anthropic",
            429,
            b'{"error":{"type":"rate_limit_error","details":{"error_code":"enforced_spend_limit_reached"}}}',
            ErrorClass.QUOTA_EXHAUSTED,
        ),
        (
            "anthropic",
            400,
            b'{"error":{"type":"invalid_request_error","details":{"error_code":"enforced_spend_limit_reached"}}}',
            ErrorClass.QUOTA_EXHAUSTED,
        ),
        (
            "google",
            400,
            b'{"error":{"details":[{"@type":"x/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}}',
            ErrorClass.AUTH,
        ),
        (
            "google",
            429,
            b'{"error":{"details":[{"@type":"x.QuotaFailure","violations":[{"quotaId":"PerDayFree"}]}]}}',
            ErrorClass.QUOTA_EXHAUSTED,
        ),
        ("google", 402, b"{}", ErrorClass.QUOTA_EXHAUSTED),
        ("deepseek", 402, b'{"error":{"message":"Insufficient Balance"}}', ErrorClass.QUOTA_EXHAUSTED),
        ("groq", 503, b"{}", ErrorClass.OVERLOADED),
        ("openrouter", 502, b'{"error":{"code":502,"message":"m"}}', ErrorClass.SERVER_ERROR),
        ("xai", 400, b'{"code":"x","error":"No such thing"}', ErrorClass.BAD_REQUEST),
        ("vllm", 400, b'{"object":"error","message":"m","type":"BadRequestError"}', ErrorClass.BAD_REQUEST),
    ],
)
def test_vendors_own_words_decide_where_the_status_does_not(
    wire: str, status: int, body: bytes, expected: ErrorClass
) -> None:
    assert WIRES[wire].decode_error(status, {}, body).error_class is expected


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"[1]",
        b"null",
        b"\xff\xff",
        b'{"error":null}',
        b'{"error":[]}',
        b'{"detail":{}}',
    ],
)
def test_an_error_page_of_any_shape_is_an_error_of_its_status(wire: str, body: bytes) -> None:
    for status, expected in (
        (502, ErrorClass.SERVER_ERROR),
        (404, ErrorClass.NOT_FOUND),
        (418, ErrorClass.BAD_REQUEST),
    ):
        found = WIRES[wire].decode_error(status, {"retry-after": "soon"}, body)
        assert (found.error_class, found.message, found.retry_after_s) == (
            expected,
            f"HTTP status {status}",
            None,
        )


def test_a_code_that_contradicts_the_status_is_not_believed() -> None:
    assert classify(500, ["insufficient_quota"]) is ErrorClass.SERVER_ERROR
    assert classify(401, ["overloaded_error"]) is ErrorClass.AUTH
    assert classify(599) is ErrorClass.SERVER_ERROR


def test_inside_a_stream_only_codes_tell() -> None:
    assert classify_in_stream(None, ["overloaded_error"]) is ErrorClass.OVERLOADED
    assert classify_in_stream(503, ["UNAVAILABLE"]) is ErrorClass.OVERLOADED
    assert classify_in_stream(429, []) is ErrorClass.RATE_LIMITED
    assert classify_in_stream(None, ["server_error"]) is ErrorClass.STREAM_ERROR
    assert classify_in_stream(None, []) is ErrorClass.STREAM_ERROR
    assert classify_in_stream(400, ["invalid_request_error"]) is ErrorClass.STREAM_ERROR


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "-7"}, 0),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT", "date": "Thu, 01 Jan 1970 00:01:00 GMT"}, 40),
        ({"retry-after": "Mon, 21 Sep 2026 14:14:30 GMT"}, 70),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "tomorrow"}, None),
        ({}, None),
    ],
)
def test_retry_after_in_all_its_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers, NOW) == seconds


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("6m0s", 360),
        ("120ms", 0.12),
        ("1h2m3.5s", 3723.5),
        ("1d", 86400),
        ("59", 59),
        ("0", 0),
        ("1790000060", 60),
        ("1790000060000", 60),
        ("2026-09-21T14:14:20Z", 60),
        ("-1", 0),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("1e999", None),
    ],
)
def test_resets_in_all_their_forms(value: str, seconds: float | None) -> None:
    found = seconds_until(value, NOW)
    assert found == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (
            {
                "x-ratelimit-limit-requests": "500",
                "x-ratelimit-limit-tokens": "30000",
                "x-ratelimit-remaining-requests": "499",
                "x-ratelimit-remaining-tokens": "29990",
                "x-ratelimit-reset-requests": "120ms",
                "x-ratelimit-reset-tokens": "6m0s",
            },
            RateLimits(499, 29990, 500, 30000, 0.12, 360),
        ),
        (
            {
                "anthropic-ratelimit-requests-limit": "50",
                "anthropic-ratelimit-requests-remaining": "49",
                "anthropic-ratelimit-requests-reset": "2026-09-21T14:14:20Z",
                "anthropic-ratelimit-input-tokens-limit": "50000",
                "anthropic-ratelimit-input-tokens-remaining": "49990",
                "anthropic-ratelimit-output-tokens-limit": "10000",
                "anthropic-ratelimit-output-tokens-remaining": "9990",
                "anthropic-ratelimit-output-tokens-reset": "2026-09-21T14:13:30Z",
            },
            RateLimits(49, 9990, 50, 10000, 60, 10),
        ),
        (
            {
                "x-ratelimit-limit-req-minute": "60",
                "x-ratelimit-remaining-req-minute": "0",
                "x-ratelimit-remaining-tokens-minute": "499990",
            },
            RateLimits(0, 499990, 60),
        ),
        (
            {"x-trial-endpoint-call-remaining": "19", "x-trial-endpoint-call-limit": "20"},
            RateLimits(19, None, 20),
        ),
        (
            {"x-ratelimit-remaining-requests": "-1", "x-ratelimit-remaining-tokens": "many"},
            RateLimits(),
        ),
        ({"content-type": "application/json"}, RateLimits()),
    ],
)
def test_rate_limits_of_all_vendors(headers: dict[str, str], expected: RateLimits) -> None:
    found = rate_limits(headers, NOW)
    assert found == expected
    assert found.known == (expected.remaining_requests is not None or expected.remaining_tokens is not None)
    assert found.exhausted == (expected.remaining_requests == 0)
