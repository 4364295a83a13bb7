"""What becomes of parameters that a target cannot honour, by the workspace's policy."""

from collections.abc import Sequence

from fairlead_common.outcomes import ErrorClass

from fairlead_models.errors import ProviderError
from fairlead_models.unified import Unhonoured, UnsupportedPolicy


def settle(warnings: Sequence[Unhonoured], policy: UnsupportedPolicy) -> tuple[Unhonoured, ...]:
    """The warnings that the caller gets to see.

    ``error`` refuses a target that cannot honour everything, so that another one may; ``warn`` tells, ``drop`` does
    not. What is only worth a note is told under ``warn`` and refused under no policy.

    Raises:
        ProviderError: UNSUPPORTED, under ``error``; names every parameter.
    """
    if policy is UnsupportedPolicy.DROP:
        return ()
    refused = [each for each in warnings if not each.note]
    if policy is UnsupportedPolicy.ERROR and refused:
        raise ProviderError(
            ErrorClass.UNSUPPORTED,
            "this provider cannot honour "
            + "; ".join(str(each) for each in refused)
            + ". Leave them out, or set the workspace's policy for unsupported parameters to 'warn' or 'drop'.",
            code="unsupported_parameter",
            param=refused[0].param,
        )
    return tuple(warnings)
