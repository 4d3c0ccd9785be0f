import pytest
import sqlalchemy as sa

from ragkit.migration.schema.index.pooler import keeps_session


def test_a_server_is_told_from_a_pooler(engine):
    assert keeps_session(engine) is True


@pytest.mark.parametrize(
    ("bouncer", "is_kept"), [("transaction", False), ("session", True)], indirect=["bouncer"]
)
def test_a_pooler_is_told_by_its_mode(bouncer, is_kept):
    engine = sa.create_engine(bouncer)
    assert keeps_session(engine) is is_kept
    engine.dispose()
