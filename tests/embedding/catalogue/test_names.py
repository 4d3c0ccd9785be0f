from datetime import date

import pytest

from ragkit.embedding.catalogue import CATALOGUE, find_model, is_known, is_plugin
from ragkit.embedding.catalogue.facts import dump_facts, load_facts
from ragkit.embedding.load import load_embedder
from ragkit.errors import ModelUnavailable, UnknownModel
from ragkit.retrieval.space import Space


def test_the_catalogue_lists_googles_models_with_their_facts():
    gecko, new = find_model("textembedding-gecko@001"), find_model("text-embedding-005")
    assert (gecko.dimension, gecko.document_task, gecko.query_task) == (768, None, None)
    assert (new.document_task, new.query_task) == ("RETRIEVAL_DOCUMENT", "RETRIEVAL_QUERY")
    assert (new.max_texts, new.max_tokens, new.max_tokens_per_text) == (250, 20_000, 2048)
    assert find_model("gemini-embedding-001").max_texts == 1
    assert find_model("gemini-embedding-001").dimension == 3072


def test_a_model_is_retired_from_its_date_on():
    assert find_model("textembedding-gecko@001").is_retired(date(2026, 11, 23))
    assert not find_model("text-embedding-005").is_retired(date(2027, 3, 31))
    assert find_model("text-embedding-005").is_retired(date(2027, 4, 1))
    assert not find_model("wordllama-256").is_retired(date(2100, 1, 1))


def test_every_price_has_the_date_of_its_source():
    assert all(model.price_as_of for model in CATALOGUE.values() if model.usd_per_million_tokens)


def test_an_unknown_model_is_an_error_that_lists_the_known_ones():
    with pytest.raises(UnknownModel, match="text-embedding-006") as error:
        find_model("text-embedding-006")
    assert all(name in str(error.value) for name in CATALOGUE)


class TestOutsideOfTheCatalogue:
    """Name and dimension describe a model whose vectors are there, but which nobody here calls."""

    @pytest.mark.parametrize("name", ["unknown/1536", "text-search-ada-doc-001/1024", "acme/e5/8"])
    def test_a_name_with_a_dimension_is_a_model_that_cannot_be_called(self, name):
        model = find_model(name)
        assert (model.name, model.dimension) == (name, int(name.rpartition("/")[2]))
        assert not model.is_callable
        assert not is_known(name)
        with pytest.raises(ModelUnavailable, match="is not in the catalogue"):
            load_embedder(name)

    @pytest.mark.parametrize("name", ["unknown", "unknown/", "/768", "unknown/0", "unknown/x",
                                      "unknown/16001", "text-embedding-005/512"])  # fmt: skip
    def test_anything_else_is_unknown_and_the_error_says_what_suffices(self, name):
        with pytest.raises(UnknownModel, match="NAME/DIMENSION"):
            find_model(name)

    def test_the_models_of_the_catalogue_can_be_called(self):
        assert all(model.is_callable for model in CATALOGUE.values())


class TestOtherOutputs:
    @pytest.mark.parametrize(
        ("name", "dimension", "whole"),
        [("text-embedding-3-large/256", 256, 3072), ("text-embedding-3-large/3072", 3072, None),
         ("embed-v4.0/512", 512, 1536), ("voyage-4/2048", 2048, 1024),
         ("gemini-embedding-2/768", 768, 3072)],
    )  # fmt: skip
    def test_a_dimension_behind_the_name_is_asked_for(self, name, dimension, whole):
        model = find_model(name)
        assert (model.name, model.dimension, model.whole) == (name, dimension, whole)
        assert model.served_name == name.partition("/")[0]

    @pytest.mark.parametrize(
        "name", ["voyage-4/300", "text-embedding-3-small/1537", "embed-english-v3.0/512",
                 "gemini-embedding-2/64"],
    )  # fmt: skip
    def test_one_that_the_model_does_not_make_is_unknown(self, name):
        with pytest.raises(UnknownModel):
            find_model(name)


class TestByProvider:
    def test_a_model_that_nobody_knows_is_named_with_its_provider_and_dimension(self):
        model = find_model("openai:org/nomic-embed-text/768")
        assert (model.provider, model.served_name) == ("openai", "org/nomic-embed-text")
        assert (model.dimension, model.whole, model.usd_per_million_tokens) == (768, None, 0.0)
        assert not is_plugin(model.name)
        assert is_known(model.name)

    def test_a_tag_behind_its_name_belongs_to_it(self):
        model = find_model("openai:nomic-embed-text:v1.5/768")
        assert (model.provider, model.served_name) == ("openai", "nomic-embed-text:v1.5")

    def test_without_its_dimension_the_error_shows_how(self):
        with pytest.raises(UnknownModel, match="such as openai:nomic-embed-text/768"):
            find_model("openai:nomic-embed-text")

    def test_a_known_one_keeps_its_facts_and_its_space(self):
        model, known = (
            find_model("openai:text-embedding-3-small"),
            find_model("text-embedding-3-small"),
        )
        assert model.space_name == known.space_name
        assert model.max_tokens == known.max_tokens

    def test_other_prefixes_are_plug_ins(self):
        assert is_plugin("my_models:Embeddings")
        assert is_plugin("vertex:Embeddings")
        assert not is_plugin("text-embedding-005")


class TestFacts:
    def test_they_have_precedence_over_the_catalogue(self):
        facts = {"voyage-4": {"usd_per_million_tokens": 0.5, "retires": date(2027, 1, 1)}}
        model = find_model("voyage-4/256", facts)
        assert (model.price(1_000_000), model.retires) == (0.5, date(2027, 1, 1))
        assert model.max_tokens == find_model("voyage-4").max_tokens
        assert find_model("voyage-4").retires is None

    def test_they_tell_the_whole_dimension_of_an_unknown_one(self):
        facts = {"openai:big": {"dimension": 4096, "shorter": (512,), "space": "big"}}
        assert find_model("openai:big", facts).dimension == 4096
        short = find_model("openai:big/512", facts)
        assert (short.dimension, short.whole, short.space_name) == (512, 4096, "big/512")
        with pytest.raises(UnknownModel):
            find_model("openai:big/256", facts)

    def test_they_come_back_from_json(self):
        facts = {"openai:big": {"dimension": 4096, "shorter": (512,), "retires": date(2030, 1, 1)}}
        assert load_facts(dump_facts(facts)) == facts
        assert find_model("openai:big/512", load_facts(dump_facts(facts))) == find_model(
            "openai:big/512", facts
        )


def test_a_prefix_beside_a_task_is_part_of_the_space():
    """A service with tasks puts the prefix before the text all the same."""
    plain, prefixed = (
        find_model("voyage-4", {"voyage-4": facts})
        for facts in ({}, {"document_prefix": "passage: "})
    )
    assert Space.of(plain, "body") != Space.of(prefixed, "body")
    assert Space.of(plain, "body").task_type == "document"
