"""sentence-transformers with a tiny real model, made here; where the package is installed.

It is not in the lock, because torch is larger than everything else in it: `make transformers`
installs it beside the locked packages and runs this file.
"""

from pathlib import Path

import numpy as np
import pytest

from ragkit.embedding.load import load_embedder
from ragkit.errors import ModelUnavailable, PartialRefusal, TextTooLong

sentence_transformers = pytest.importorskip(
    "sentence_transformers", reason="not in the lock for its size: make transformers"
)
WORDS = [
    "tea", "wool", "garden", "silent", "room", "shop", "passage", "query", ":", "train", "bar",
    "fish", "in", "and", "the", "a",
]  # fmt: skip
TEXTS = ["tea in the garden", "a silent room", "wool and the shop"]
PROMPTS = {"query": "query: ", "document": "passage: "}


def make_model(folder: Path, prompts: dict[str, str]) -> Path:
    """A BERT of one layer with random weights, 32 dimensions and at most 16 tokens."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    torch.manual_seed(1)
    folder.mkdir()
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(tokens))
    tokenizer = BertTokenizerFast(vocab=str(folder / "vocab.txt"), model_max_length=16)
    config = BertConfig(
        vocab_size=len(tokens), hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=16,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder / "bert")
    tokenizer.save_pretrained(folder / "bert")
    transformer = Transformer(str(folder / "bert"), max_seq_length=16)
    model = SentenceTransformer(
        modules=[transformer, Pooling(32, pooling_mode="mean")], prompts=prompts, device="cpu"
    )
    model.save(str(folder / "whole"))
    return folder / "whole"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return make_model(tmp_path_factory.mktemp("models") / "with prompts", PROMPTS)


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    return make_model(tmp_path_factory.mktemp("models") / "plain", {})


def load(folder: Path, dimension: int = 32, **facts: object):
    name = f"sentence-transformers:{folder}"
    return load_embedder(f"{name}/{dimension}", {name: facts}, {})


def test_rows_and_questions_have_the_models_own_prompts(folder, plain):
    model, without = load(folder), load(plain)
    assert model.embed_documents(TEXTS).shape == (3, 32)
    np.testing.assert_allclose(
        model.embed_documents(["tea"])[0], without.embed_documents(["passage: tea"])[0], atol=1e-5
    )
    np.testing.assert_allclose(
        model.embed_query("tea"), without.embed_documents(["query: tea"])[0], atol=1e-5
    )


def test_prefixes_of_its_facts_replace_them(folder, plain):
    given = {"document_prefix": "fish ", "query_prefix": "bar "}
    model, without = load(folder, **given), load(plain)
    np.testing.assert_allclose(
        model.embed_documents(["tea"])[0], without.embed_documents(["fish tea"])[0], atol=1e-5
    )
    np.testing.assert_allclose(
        model.embed_query("tea"), without.embed_documents(["bar tea"])[0], atol=1e-5
    )


def test_a_prefix_of_one_kind_leaves_the_prompt_of_the_other(folder):
    """Otherwise rows would have other vectors in the same space."""
    own, model = load(folder), load(folder, query_prefix="bar ")
    np.testing.assert_allclose(
        model.embed_documents(["tea"]), own.embed_documents(["tea"]), atol=1e-5
    )
    assert np.abs(model.embed_query("tea") - own.embed_query("tea")).max() > 1e-3
    with pytest.raises(PartialRefusal):
        model.embed_documents(["tea", "tea " * 14])


def test_a_limit_of_the_facts_beyond_its_own_does_not_count(plain):
    with pytest.raises(PartialRefusal, match="takes 16"):
        load(plain, max_tokens_per_text=512).embed_documents(["tea", "tea " * 15])


def test_fewer_dimensions_are_a_cut_of_unit_length(folder):
    cut = load(folder).embed_documents(TEXTS)[:, :8]
    short = load(folder, 8).embed_documents(TEXTS)
    np.testing.assert_allclose(short, cut / np.linalg.norm(cut, axis=1, keepdims=True), atol=1e-5)
    with pytest.raises(ModelUnavailable, match="makes 32 dimensions"):
        load(folder, 64)


def test_a_long_text_is_refused_and_never_cut(folder, plain):
    with pytest.raises(PartialRefusal, match="16") as error:
        load(plain).embed_documents(["tea", "tea " * 15])
    assert list(error.value.refused) == [1]
    assert load(plain).embed_documents(["tea " * 14]).shape == (1, 32)
    with pytest.raises(PartialRefusal):  # its prompt counts too
        load(folder).embed_documents(["tea", "tea " * 14])
    with pytest.raises(TextTooLong):
        load(folder).embed_query("tea " * 14)


def test_its_tokenizer_tells_where_tokens_are(plain):
    assert load(plain).token_spans("tea wool") == [(0, 3), (4, 8)]


def test_a_folder_without_a_model_says_what_was_expected(tmp_path):
    with pytest.raises(ModelUnavailable, match="a folder with one"):
        load(tmp_path / "nothing")
