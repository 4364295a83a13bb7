"""Settings, ids, redelivery verdicts and key hashing: small pure things."""

import uuid

import pytest
from fairlead_common.access import key_hash, key_hint, new_key
from fairlead_common.bus.redelivery import MAX_DELIVERIES, PoisonMessage, verdict
from fairlead_common.ids import new_id
from fairlead_common.outcomes import Bucket, ErrorClass
from fairlead_common.settings import Settings, SettingsError
from pydantic import SecretStr


def test_settings_are_read_from_the_environment() -> None:
    found = Settings.from_env(
        {"FAIRLEAD_HTTP_PORT": "8123", "FAIRLEAD_POSTGRES_DSN": "postgresql://u:p@h/d", "PATH": "/"}
    )
    assert found.http_port == 8123
    assert found.postgres_dsn == SecretStr("postgresql://u:p@h/d")
    assert "p@h" not in repr(found)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (
            {"FAIRLEAD_HTTP_PROT": "1"},
            "HTTP_PROT is not a setting of this process; did you mean FAIRLEAD_HTTP_PORT, ",
        ),
        ({"FAIRLEAD_HTTP_PORT": "eighty"}, "FAIRLEAD_HTTP_PORT: "),
        ({"FAIRLEAD_LOG_LEVEL": "LOUD"}, "FAIRLEAD_LOG_LEVEL: "),
    ],
)
def test_wrong_settings_name_the_variable(environ: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Settings.from_env(environ)


def test_ids_are_version_7_unique_and_sorted_by_time() -> None:
    ids = [new_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert {uuid.UUID(i).version for i in ids} == {7}
    assert [i[:13] for i in ids] == sorted(i[:13] for i in ids)


@pytest.mark.parametrize(
    ("error", "deliveries", "expected"),
    [
        (PoisonMessage("x"), 1, None),
        (ConnectionError("x"), 1, 0.25),
        (ConnectionError("x"), 1000, 15.0),
        (RuntimeError("bug"), 1, 0.25),
        (RuntimeError("bug"), 3, 1.0),
        (RuntimeError("bug"), MAX_DELIVERIES, None),
    ],
)
def test_what_happens_to_a_message_depends_on_the_class_of_the_error(
    error: Exception, deliveries: int, expected: float | None
) -> None:
    assert verdict(error, deliveries) == expected


def test_keys_are_random_hashed_and_hinted() -> None:
    key = new_key()
    assert key.startswith("fl-")
    assert len(key) == 46
    assert new_key() != key
    assert len(key_hash(key)) == 64
    assert key_hint(key) == f"{key[:5]}...{key[-4:]}"


def test_every_error_class_has_an_owner() -> None:
    assert {error.bucket for error in ErrorClass} == set(Bucket)
    assert not ErrorClass.RATE_LIMITED.counts_against_provider
    assert not ErrorClass.BAD_REQUEST.retryable_elsewhere
    assert ErrorClass.TRUNCATED.counts_against_provider
