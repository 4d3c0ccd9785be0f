from math import ceil

import pytest

from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.inspection import long_texts
from ragkit.migration.inspection.long_texts import measure_lengths, pending_lengths
from ragkit.migration.migration import Migration
from ragkit.migration.progress.coverage import has_text
from ragkit.migration.schema.expansion import expand
from tests.conftest import TEXTS, changed, embedder_of, make_table

MINILM = "all-minilm-l6-v2"
LONG = [
    *("A wing in a slipstream. " * n for n in (30, 43, 60, 250)),
    "각 " * 100,  # 300 tokens in 200 characters
    "word " * 250,  # 1,250 characters, and it fits
]


@pytest.fixture
def abstracts(engine, plan) -> Migration:
    plan = changed(plan, {"new.model": MINILM})
    make_table(engine, plan, [*TEXTS, *LONG, None, "  "])
    return Migration.open(plan, engine)


def tokens_of(texts):
    return [len(embedder_of(MINILM).token_spans(text)) for text in texts]


def measure(migration, embedder):
    return measure_lengths(migration, embedder, has_text(migration.content))


def test_tokens_are_those_of_the_models_tokenizer(abstracts):
    lengths, counts = measure(abstracts, embedder_of(MINILM)), tokens_of(LONG)
    short = sum(map(len, TEXTS)) / 4
    assert sum(count > 254 for count in counts) == 4
    assert (lengths.limit, lengths.rows, lengths.too_long) == (256, 12, 4)
    assert lengths.tokens == pytest.approx(short + sum(counts), abs=2)  # one is extrapolated
    assert lengths.tokens_cut == ceil(short + sum(min(n, 254) for n in counts))
    assert lengths.pieces == 6 + sum(-(-n // 254) for n in counts)
    assert lengths.counted_by == "the model's tokenizer"


def test_of_many_rows_a_sample_is_counted_and_that_is_said(abstracts, monkeypatch):
    monkeypatch.setattr(long_texts, "MAX_COUNTED", 3)
    lengths = measure(abstracts, embedder_of(MINILM))
    assert lengths.counted_by == "the model's tokenizer in a sample of 3"
    candidates = 6  # texts of more than 254 bytes
    assert lengths.too_long in [round(n * candidates / 3) for n in range(4)]
    assert (lengths.rows, lengths.pieces >= 12) == (12, True)


def test_of_a_very_long_text_the_start_is_counted(abstracts, engine):
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "update \"Amenities\" set content = repeat('word ', 100000) where id = 1"
        )
    seen = []

    class Recording:
        model, special_tokens = embedder_of(MINILM).model, 2

        def token_spans(self, text):
            seen.append(len(text))
            return embedder_of(MINILM).token_spans(text)

    before = measure(abstracts, embedder_of(MINILM)).tokens
    assert measure(abstracts, Recording()).tokens == pytest.approx(before, abs=100)
    assert max(seen) <= 16 * 254
    assert before > 100_000


def test_a_service_is_estimated_by_bytes_and_not_called(engine, plan, vertex, monkeypatch):
    monkeypatch.setenv("VERTEX_ENDPOINT", vertex.address)
    monkeypatch.setenv("GCP_PROJECT_ID", "p")
    plan = changed(plan, {"new.model": "text-embedding-005"})
    make_table(engine, plan, ["a" * 8192, "a" * 8193, "型" * 2731, "short"])
    lengths = measure(Migration.open(plan, engine), embedder_of("text-embedding-005"))
    assert (lengths.rows, lengths.too_long, lengths.pieces) == (4, 2, 6)
    assert lengths.counted_by == "an estimate of 4 bytes a token"
    assert vertex.calls == []


def test_a_model_without_a_limit_takes_every_text(migration, new_embedder):
    lengths = measure(migration, new_embedder)
    assert (lengths.limit, lengths.too_long, lengths.pieces) == (None, 0, 6)
    assert lengths.describe("refuse") == "the model names no limit"


def test_only_pending_rows_count_for_the_backfill(abstracts):
    minilm = embedder_of(MINILM)
    assert pending_lengths(abstracts, minilm).too_long == 4
    expand(abstracts)
    assert pending_lengths(abstracts, minilm).rows == 12
    list(run_backfill(abstracts, minilm))
    done = pending_lengths(abstracts, minilm)
    assert (done.rows, done.describe("refuse")) == (
        0, "0 of 0 texts are above 256 tokens, by the model's tokenizer",
    )  # fmt: skip
