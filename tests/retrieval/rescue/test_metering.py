import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from ragkit.embedding.catalogue import find_model
from ragkit.embedding.providers.vertex import VertexEmbedder
from ragkit.retrieval.rescue.metering import LiveMeter
from tests.stand_ins.vertex import count_tokens

FUNCTION = """
create function public.take(bigint, bigint, bigint) returns void language sql
as $$ insert into uses values ($1, $2, $3) $$
"""


@pytest.fixture
def meter(engine):
    with engine.begin() as connection:
        connection.exec_driver_sql("create table uses (requests int, tokens int, refused int)")
        connection.exec_driver_sql(FUNCTION)
    meter = LiveMeter(engine)
    meter.function = "public.take"
    return meter


@pytest.fixture
def embedder(vertex, meter):
    env = {"GCP_PROJECT_ID": "p", "VERTEX_ENDPOINT": vertex.address}
    return meter.around(VertexEmbedder(find_model("text-embedding-005"), env))


def uses(meter):
    meter.wait()
    with meter._engine.connect() as connection:
        sums = sa.text("select count(*), sum(requests), sum(tokens), sum(refused) from uses")
        return tuple(connection.execute(sums).one())


def test_what_a_question_used_is_taken_after_it(meter, embedder):
    texts = ["Where is the lounge?", "A silent space.", "Fish and chips."]
    embedder.embed_jointly(texts[0], texts[1:])
    assert uses(meter) == (1, 1, sum(map(count_tokens, texts)), 0)


def test_a_refusal_is_told_while_the_question_still_waits(meter, embedder, vertex):
    """Its next try is to go through."""
    vertex.quota = 0
    with ThreadPoolExecutor(1) as pool:
        question = pool.submit(embedder.embed_query, "a")
        deadline = time.monotonic() + 10
        while not uses(meter)[0]:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert not question.done()
        vertex.quota = None
        question.result(10)
    _, requests, _, refused = uses(meter)
    assert (requests, refused) == (1, len(vertex.over_quota))


def test_uses_that_wait_are_taken_together(meter, embedder, engine):
    with engine.begin() as other:
        other.exec_driver_sql("lock table uses")
        embedder.embed_query("a")
        for _ in range(50):
            meter.after(2)
    count, requests, tokens, _ = uses(meter)
    assert (requests, tokens) == (51, 101)
    assert count < 10


def test_a_function_that_fails_is_logged_and_the_next_use_is_taken(meter, embedder, caplog):
    meter.function = "public.gone"
    embedder.embed_query("a")
    meter.wait()
    assert "function public.gone" in caplog.text
    meter.function = "public.take"
    embedder.embed_query("a")
    assert uses(meter) == (1, 1, 1, 0)


def test_without_a_function_the_database_is_told_nothing(meter, embedder, engine):
    meter.function, seen = "", []
    sa.event.listen(engine, "checkout", lambda *_: seen.append(1))
    embedder.embed_query("a")
    meter.wait()
    assert seen == []


def test_a_model_that_costs_nothing_is_not_metered(meter, new_embedder):
    assert meter.around(new_embedder) is new_embedder
