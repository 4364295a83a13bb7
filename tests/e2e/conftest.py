"""The whole product as real processes, once for all end-to-end tests that leave it as they found it."""

from collections.abc import Iterator

import pytest

from tests.support.stack import Stack, running


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A run of ``fairlead up`` that tests share; whoever breaks something mends it."""
    with running(tmp_path_factory.mktemp("stack")) as found:
        yield found
