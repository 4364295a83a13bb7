"""What can go wrong between the command line and a running Fairlead.

::

    FairleadError
    ├── BadInput       the caller can mend it: exit code 2
    └── StartFailed    a part did not come up: exit code 1
"""


class FairleadError(Exception):
    """The message is one line for a person: what was wrong, where, and what to do."""

    exit_code = 1


class BadInput(FairleadError):
    """An option, a file, a port or a folder that cannot be used."""

    exit_code = 2


class StartFailed(FairleadError):
    """A part of the stack did not come up."""
