import pytest

from ragkit.migration.schema import index


@pytest.fixture
def filled(filled):
    """The migration with a full new column and its index."""
    index.build(filled)
    return filled
