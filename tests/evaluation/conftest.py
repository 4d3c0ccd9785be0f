import pytest

from ragkit.migration.schema import index
from tests.report.conftest import shell, shown

__all__ = ["shell", "shown"]


@pytest.fixture
def filled(filled):
    """The migration with a full new column and its index."""
    index.build(filled)
    return filled
