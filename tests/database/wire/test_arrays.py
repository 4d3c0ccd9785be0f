import numpy as np
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragkit.database.wire.arrays import TEXT_OID, UUID_OID, encode_array, encode_vectors
from ragkit.database.wire.round_trip import ask

texts = st.lists(st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"])))


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(texts)
def test_texts_arrive_as_they_are(engine, texts):
    with engine.connect() as connection:
        connection.connection.rollback()
        array = encode_array(TEXT_OID, [text.encode() for text in texts])
        found = ask(connection, "select t from unnest($1::text[]) t", [array], {})
    assert [row[0] for row in found] == texts


def test_digests_arrive_as_uuids(engine):
    with engine.connect() as connection:
        connection.connection.rollback()
        array = encode_array(UUID_OID, [bytes(range(16)), bytes(16)])
        found = ask(connection, "select t::text from unnest($1::uuid[]) t", [array], {})
    assert [row[0] for row in found] == [
        "00010203-0405-0607-0809-0a0b0c0d0e0f", "00000000-0000-0000-0000-000000000000",
    ]  # fmt: skip


def test_vectors_arrive_bit_by_bit(engine):
    vectors = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    with engine.begin() as connection:
        connection.execute(sa.text("create extension if not exists vector"))
    with engine.connect() as connection:
        connection.connection.rollback()
        [[oid]] = ask(connection, "select 'vector'::regtype::oid::bigint", [], {})
        array = encode_vectors(int(oid), vectors)
        found = ask(connection, "select t::real[]::text from unnest($1::vector[]) t", [array], {})
    read = [[float(x) for x in row[0][1:-1].split(",")] for row in found]
    np.testing.assert_array_equal(np.array(read, np.float32), vectors)
