"""The vocabulary of how a call can end: one list for adapters, breakers, health, bills and experiments.

It says which endings count against a provider and which let another provider try; it decides nothing else.
"""

from enum import StrEnum


class Bucket(StrEnum):
    """Whose fault an error is; Envoy keeps local and external apart, and limits need a third place."""

    LOCAL = "local"
    """We never got an answer: connect, TLS, time-out."""
    EXTERNAL = "external"
    """The provider answered wrongly: 5xx, truncated, malformed."""
    LIMIT = "limit"
    """The provider is well but will not serve our account now: 429, quota."""
    CALLER = "caller"
    """The caller's own doing: his request was bad, or he left."""


class ErrorClass(StrEnum):
    """Normalised failure of one attempt at one provider; status decides, message text never does."""

    CONNECT = "connect"
    TIMEOUT_CONNECT = "timeout_connect"
    TIMEOUT_FIRST_TOKEN = "timeout_first_token"
    TIMEOUT_BETWEEN_TOKENS = "timeout_between_tokens"
    TIMEOUT_TOTAL = "timeout_total"
    SERVER_ERROR = "server_error"
    OVERLOADED = "overloaded"
    RATE_LIMITED = "rate_limited"
    QUOTA_EXHAUSTED = "quota_exhausted"
    AUTH = "auth"
    NOT_FOUND = "not_found"
    TRUNCATED = "truncated"
    MALFORMED = "malformed"
    STREAM_ERROR = "stream_error"
    UNSUPPORTED = "unsupported"
    BAD_REQUEST = "bad_request"
    CALLER_GONE = "caller_gone"

    @property
    def bucket(self) -> Bucket:
        """Whose fault this is."""
        return _BUCKETS[self]

    @property
    def counts_against_provider(self) -> bool:
        """True when breaker and health must hold it against the provider; a caller's own error never is."""
        return self.bucket in (Bucket.LOCAL, Bucket.EXTERNAL)

    @property
    def retryable_elsewhere(self) -> bool:
        """True when another provider may well succeed with the same request."""
        return self not in (ErrorClass.BAD_REQUEST, ErrorClass.CALLER_GONE)


_BUCKETS = {
    ErrorClass.CONNECT: Bucket.LOCAL,
    ErrorClass.TIMEOUT_CONNECT: Bucket.LOCAL,
    ErrorClass.TIMEOUT_FIRST_TOKEN: Bucket.LOCAL,
    ErrorClass.TIMEOUT_BETWEEN_TOKENS: Bucket.LOCAL,
    ErrorClass.TIMEOUT_TOTAL: Bucket.LOCAL,
    ErrorClass.SERVER_ERROR: Bucket.EXTERNAL,
    ErrorClass.OVERLOADED: Bucket.EXTERNAL,
    ErrorClass.AUTH: Bucket.EXTERNAL,
    ErrorClass.NOT_FOUND: Bucket.EXTERNAL,
    ErrorClass.TRUNCATED: Bucket.EXTERNAL,
    ErrorClass.MALFORMED: Bucket.EXTERNAL,
    ErrorClass.STREAM_ERROR: Bucket.EXTERNAL,
    ErrorClass.RATE_LIMITED: Bucket.LIMIT,
    ErrorClass.QUOTA_EXHAUSTED: Bucket.LIMIT,
    ErrorClass.UNSUPPORTED: Bucket.CALLER,
    ErrorClass.BAD_REQUEST: Bucket.CALLER,
    ErrorClass.CALLER_GONE: Bucket.CALLER,
}


class CallState(StrEnum):
    """Terminal state of a caller's request, known only at its end (a stream that opened is no success yet)."""

    OK = "ok"
    TRUNCATED = "truncated"
    """The answer broke after the first token was passed on; the caller was told so."""
    FAILED = "failed"
    """No provider could answer; the caller got an error."""
    REJECTED = "rejected"
    """Refused before any attempt: bad body, unknown model, no budget."""
    ABORTED = "aborted"
    """The caller left."""
