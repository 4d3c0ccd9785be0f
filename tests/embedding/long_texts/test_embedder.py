import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragkit.embedding.catalogue import find_model
from ragkit.embedding.long_texts import embedder as long_texts
from ragkit.embedding.long_texts.embedder import for_rows, weighted_mean
from ragkit.embedding.providers.plugin import PluginEmbedder
from ragkit.embedding.providers.vertex import VertexEmbedder
from ragkit.errors import PartialRefusal, RowRefused, TextTooLong
from ragkit.migration.backfill.model_calls.embed import embed_texts
from tests.conftest import NEW, embedder_of
from tests.stand_ins import vertex as stand_in
from tests.stand_ins.letters import Letters

MINILM = "all-minilm-l6-v2"
LONG = "The boundary layer separates behind the shock. " * 60
SHORT = "A wing in a slipstream."


class Limited(Letters):
    """Takes 2,000 characters, and no text with a poisonous word. Does not say which text it is."""

    def __init__(self):
        self.texts = []

    def embed_documents(self, texts):
        self.texts.append(list(texts))
        if any(len(text) > 2000 or "poison" in text for text in texts):
            raise ValueError("too long")
        return super().embed_documents(texts)


@pytest.fixture
def limited():
    """The plug-in and its embedder."""
    embedder = PluginEmbedder(NEW)
    embedder._embeddings = Limited()
    return embedder._embeddings, embedder


@pytest.fixture
def remote(vertex):
    return VertexEmbedder(
        find_model("text-embedding-005"),
        {"GCP_PROJECT_ID": "p", "VERTEX_ENDPOINT": vertex.address},
    )


def cosine(a, b):
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_refuse_changes_nothing():
    assert for_rows(embedder_of(MINILM), "refuse") is embedder_of(MINILM)


@settings(max_examples=15)
@given(st.lists(st.text(max_size=900), min_size=1, max_size=4), st.sampled_from(["cut", "pieces"]))
def test_every_text_gets_a_vector_of_unit_length(texts, way):
    vectors = for_rows(embedder_of(MINILM), way).embed_documents(texts)
    assert (vectors.shape, vectors.dtype) == ((len(texts), 384), np.float32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("way", ["cut", "pieces"])
def test_a_text_that_fits_has_the_models_own_vector(way):
    model = embedder_of(MINILM)
    expected = model.embed_documents([SHORT, "b"])
    np.testing.assert_array_equal(for_rows(model, way).embed_documents([SHORT, "b"]), expected)
    np.testing.assert_array_equal(for_rows(model, way).embed_query("b"), model.embed_query("b"))


def test_cut_is_the_start_and_pieces_are_all_of_the_text():
    model, end = embedder_of(MINILM), "Champagne by the glass, and oysters. " * 40
    start, joined = (for_rows(model, way).embed_documents([LONG + end])[0]
                     for way in ("cut", "pieces"))  # fmt: skip
    about_the_end = model.embed_query("a champagne and oyster bar")
    assert cosine(start, model.embed_query(LONG[:400])) > 0.9
    assert about_the_end @ joined > about_the_end @ start + 0.2


def test_a_short_last_piece_weighs_little():
    first, last = np.array([1.0, 0.0], np.float32), np.array([0.0, 1.0], np.float32)
    mean = weighted_mean([first, last], [99, 1])
    np.testing.assert_allclose(mean, [0.99995, 0.0101], atol=1e-4)  # of unit length, as these are
    assert weighted_mean([4 * first, 2 * first], [1, 1]).tolist() == [3, 0]  # these are not
    assert np.isfinite(weighted_mean([first, -first], [1, 1])).all()


def test_a_question_that_is_too_long_is_refused():
    with pytest.raises(TextTooLong):
        for_rows(embedder_of(MINILM), "pieces").embed_query(LONG)


def test_the_slow_model_gets_so_many_pieces_a_call(monkeypatch):
    monkeypatch.setattr(long_texts, "PIECES_A_CALL", 3)
    sizes = []

    class Counting:
        model, special_tokens = embedder_of(MINILM).model, 2
        token_spans = staticmethod(embedder_of(MINILM).token_spans)

        def embed_documents(self, texts):
            sizes.append(len(texts))
            return embedder_of(MINILM).embed_documents(texts)

    texts = [LONG, SHORT, LONG]
    vectors = for_rows(Counting(), "pieces").embed_documents(texts)
    assert (sizes, len(vectors)) == ([3, 2], 3)
    np.testing.assert_allclose(vectors[0] @ vectors[2], 1, atol=1e-3)


class TestService:
    """Vertex AI counts the tokens itself."""

    def test_a_text_at_the_limit_is_sent_whole(self, vertex, remote):
        text = ("word " * 1638)[:8190]
        expected = remote.embed_documents([text])
        np.testing.assert_array_equal(for_rows(remote, "cut").embed_documents([text]), expected)

    def test_a_longer_one_in_pieces_beside_the_others(self, vertex, remote):
        model = for_rows(remote, "pieces")
        vectors = model.embed_documents([SHORT, "wing " * 4000, "oyster"])
        assert sum(count for *_, count in vertex.calls) == 5
        assert cosine(vectors[1], remote.embed_query("wing")) > 0.99
        np.testing.assert_array_equal(vectors[2], remote.embed_documents(["oyster"])[0])

    @pytest.mark.parametrize("way", ["cut", "pieces"])
    def test_a_piece_that_is_refused_is_split_again(self, vertex, remote, monkeypatch, way):
        monkeypatch.setattr(stand_in, "BYTES_PER_TOKEN", 2)  # as Chinese and Japanese have
        vectors = for_rows(remote, way).embed_documents([SHORT, "翼型の境界層 " * 600])
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)

    def test_a_text_that_is_refused_in_every_size_is_named(self, vertex, remote, monkeypatch):
        monkeypatch.setattr(stand_in, "MAX_TOKENS_PER_TEXT", 4)
        with pytest.raises(PartialRefusal, match="2048") as error:
            for_rows(remote, "pieces").embed_documents(["a", "word " * 3000, "b"])
        assert list(error.value.refused) == [1]
        assert error.value.vectors[2] == pytest.approx(remote.embed_documents(["b"])[0])
        assert len(vertex.calls) < 12


class TestPlugin:
    """Nobody knows its limit, and it does not say which text it refuses."""

    def test_the_long_text_is_found_and_split(self, limited):
        plugin, embedder = limited
        result = embed_texts(for_rows(embedder, "pieces"), [SHORT, LONG, "poison", "b"], 5)
        assert (sorted(result.vectors), list(result.refused)) == ([0, 1, 3], [2])
        assert cosine(result.vectors[1], np.array(Letters().embed_query(LONG))) > 0.99
        assert "".join(plugin.texts[-1]) != LONG

    def test_its_start_alone(self, limited):
        plugin, embedder = limited
        vector = for_rows(embedder, "cut").embed_documents([LONG])[0]
        assert LONG.startswith(plugin.texts[-1][0])
        np.testing.assert_allclose(vector, Letters().embed_query(plugin.texts[-1][0]), atol=1e-6)

    def test_a_text_that_is_refused_for_another_reason_stays_refused(self, limited):
        plugin, embedder = limited
        with pytest.raises(RowRefused):
            for_rows(embedder, "pieces").embed_documents(["poison " * 400])
        assert len(plugin.texts) <= 4
        plugin.texts.clear()
        with pytest.raises(RowRefused):
            for_rows(embedder, "pieces").embed_documents(["a poison"])
        assert len(plugin.texts) == 1
