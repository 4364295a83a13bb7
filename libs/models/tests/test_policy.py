"""What becomes of parameters that a target cannot honour."""

import pytest
from fairlead_common.outcomes import ErrorClass
from fairlead_models.errors import ProviderError
from fairlead_models.policy import settle
from fairlead_models.unified import Unhonoured, UnsupportedPolicy

SEED = Unhonoured("seed", "not offered")
NOTE = Unhonoured("messages", "thinking is left out", note=True)


def test_warnings_are_told_dropped_or_refused() -> None:
    assert settle([SEED, NOTE], UnsupportedPolicy.WARN) == (SEED, NOTE)
    assert settle([SEED, NOTE], UnsupportedPolicy.DROP) == ()
    with pytest.raises(ProviderError) as refused:
        settle([NOTE, SEED], UnsupportedPolicy.ERROR)
    assert (refused.value.error_class, refused.value.param) == (ErrorClass.UNSUPPORTED, "seed")
    assert refused.value.retryable
    assert "seed: not offered" in refused.value.message


def test_a_note_is_never_a_reason_to_refuse() -> None:
    assert settle([NOTE], UnsupportedPolicy.ERROR) == (NOTE,)
    assert settle([], UnsupportedPolicy.ERROR) == ()
