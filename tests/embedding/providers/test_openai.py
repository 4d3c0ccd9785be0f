"""OpenAI's SDK, against OpenAI and against other servers that speak its protocol."""

import numpy as np
import pytest

from ragkit.embedding.load import load_embedder
from ragkit.errors import BadVectors, ModelBusy, ModelUnavailable
from tests.stand_ins.embeddings import openai
from tests.stand_ins.embeddings.service import KEY

NOMIC = "openai:nomic-embed-text/768"


@pytest.fixture
def server():
    """Of one's own, such as Ollama: no key."""
    with openai.serving(768, key="") as service:
        yield service


def facts(service, **more):
    return {"openai:nomic-embed-text": {"base_url": f"{service.address}/v1", **more}}


def test_openai_itself_is_asked_for_base64_and_another_server_for_floats(monkeypatch):
    with openai.serving(1536) as service:
        address = f"{service.address}/v1"
        named = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": address}
        by_floats = load_embedder("text-embedding-3-small", None, named).embed_query("tea")
        monkeypatch.setenv("OPENAI_BASE_URL", address)  # which the SDK takes for OpenAI's own
        own = load_embedder("text-embedding-3-small", None, {"OPENAI_API_KEY": KEY})
        np.testing.assert_allclose(own.embed_query("tea"), by_floats, atol=1e-6)
        assert [asked.task for asked in service.asked] == ["float", "base64"]


def test_two_vectors_of_one_text_are_refused(server):
    """By their indexes: the vector of which text each is, nobody knows."""
    server.faults = ["twice"]
    with pytest.raises(BadVectors, match=r"\(1, 768\), expected \(2, 768\)"):
        load_embedder(NOMIC, facts(server), {}).embed_documents(["tea", "wool"])


@pytest.mark.parametrize("address", ["http://host:abc/v1", "localhost:11434/v1"])
def test_an_address_that_is_none_is_told(address):
    env = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": address}
    with pytest.raises(ModelUnavailable, match=r"base_url|OPENAI_BASE_URL"):
        load_embedder("text-embedding-3-small", None, env)


def test_a_model_that_the_catalogue_does_not_know_needs_its_dimension_only(server):
    model = load_embedder(NOMIC, facts(server), {})
    assert model.embed_documents(["tea", "wool"]).shape == (2, 768)
    assert (server.asked[0].model, server.asked[0].dimension) == ("nomic-embed-text", None)
    assert model.model.space_name == NOMIC


def test_fewer_dimensions_of_it_need_its_whole_dimension(server):
    model = load_embedder("openai:nomic-embed-text/256", facts(server, dimension=768), {})
    assert model.embed_documents(["tea"]).shape == (1, 256)
    assert server.asked[0].dimension == 256


def test_the_key_of_openai_is_never_sent_to_a_server_of_the_params_file():
    with openai.serving(768, key="of-its-own") as service:
        env = {"OPENAI_API_KEY": "of-its-own"}
        with pytest.raises(ModelUnavailable, match="401"):
            load_embedder(NOMIC, facts(service), env).embed_documents(["tea"])
        env = {"OPENAI_API_KEY": KEY, "MY_KEY": "of-its-own"}
        model = load_embedder(NOMIC, facts(service, key_env="MY_KEY"), env)
        assert model.embed_documents(["tea"]).shape == (1, 768)


@pytest.mark.parametrize(
    "answers", ["nomic-embed-text", "Nomic-Embed-Text", "nomic-embed-text:latest",
                "nomic-embed-text-v2", "nomic-embed-text-2026-01-31"],
)  # fmt: skip
def test_a_version_behind_the_name_is_the_same_model(server, answers):
    server.answers_as = answers
    load_embedder(NOMIC, facts(server), {}).embed_documents(["tea"])


@pytest.mark.parametrize("answers", ["nomic-embed-text-large", "bge-m3", "nomic"])
def test_vectors_of_another_model_are_refused(server, answers):
    server.answers_as = answers
    with pytest.raises(ModelUnavailable, match=f"'nomic-embed-text'.*'{answers}'.*answers_as"):
        load_embedder(NOMIC, facts(server), {}).embed_documents(["tea"])
    load_embedder(NOMIC, facts(server, answers_as=answers), {}).embed_documents(["tea"])


def test_prefixes_of_rows_and_questions_are_part_of_the_space(server):
    given = facts(server, document_prefix="search_document: ", query_prefix="search_query: ")
    model = load_embedder(NOMIC, given, {})
    model.embed_documents(["tea"])
    model.embed_query("tea")
    assert [asked.texts for asked in server.asked] == [
        ["search_document: tea"], ["search_query: tea"]
    ]  # fmt: skip
    assert model.model.document_form == "search_document: "


def test_an_account_without_credit_is_not_asked_again(server, monkeypatch):
    def refuse(status, message):
        return {"error": {"message": message, "code": "insufficient_quota"}}

    monkeypatch.setattr(openai, "refuse", refuse)
    with (
        openai.serving(768, key="", faults=[429]) as service,
        pytest.raises(ModelUnavailable, match="no credit") as error,
    ):
        load_embedder(NOMIC, facts(service), {}).embed_documents(["tea"])
    assert not isinstance(error.value, ModelBusy)


@pytest.mark.parametrize(
    ("counted", "known"), [(-5, False), ("twelve", False), (float("nan"), False), ("12", True)]
)
def test_a_count_of_tokens_that_is_none_is_estimated(server, counted, known):
    class Meter:
        tokens = None

        def before(self, tokens): ...
        def busy(self): ...

        def after(self, tokens):
            self.tokens = tokens

    server.counts, meter = counted, Meter()
    model = load_embedder(NOMIC, facts(server), {}).with_meter(meter)
    assert model.embed_documents(["tea in the garden"]).shape == (1, 768)
    assert meter.tokens == (12 if known else len("tea in the garden") // 4 + 1)
