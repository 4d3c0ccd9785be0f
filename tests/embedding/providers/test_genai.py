"""google-genai, by the Gemini API and by Vertex AI."""

import pytest

from ragkit.embedding.load import load_embedder
from ragkit.errors import ConfigError, ModelUnavailable
from tests.stand_ins.embeddings import genai
from tests.stand_ins.embeddings.service import KEY

MODEL = "gemini-embedding-2"
TOKEN = "stand-in"
"""What the client sends to VERTEX_ENDPOINT: no account is needed."""


@pytest.fixture
def vertex_ai():
    with genai.serving(vertex=True, key=TOKEN) as service:
        yield service


def env(service):
    address = service.address.removeprefix("http://")
    return {"GCP_PROJECT_ID": "p", "GCP_LOCATION": "us-central1", "VERTEX_ENDPOINT": address}


class Meter:
    def __init__(self):
        self.tokens = []

    def before(self, tokens):
        pass

    def after(self, tokens):
        self.tokens.append(tokens)

    def busy(self):
        pass


def test_without_a_key_vertex_ai_is_asked_one_text_a_request(vertex_ai):
    meter = Meter()
    model = load_embedder(MODEL, None, env(vertex_ai)).with_meter(meter)
    assert model.embed_documents(["tea", "a silent room"]).shape == (2, 3072)
    assert [asked.texts for asked in vertex_ai.asked] == [
        ["title: none | text: tea"], ["title: none | text: a silent room"]
    ]  # fmt: skip
    assert meter.tokens == [vertex_ai.tokens(asked) for asked in vertex_ai.asked]
    assert model.embed_query("tea").shape == (3072,)
    assert vertex_ai.asked[-1].texts == ["task: search result | query: tea"]


def test_vertex_ai_needs_a_project():
    with pytest.raises(ConfigError, match="GCP_PROJECT_ID"):
        load_embedder(MODEL, None, {})


def test_a_permission_that_is_missing_names_the_role(vertex_ai):
    vertex_ai.faults = [403]
    with pytest.raises(ModelUnavailable, match=r"roles/aiplatform\.user"):
        load_embedder(MODEL, None, env(vertex_ai)).embed_documents(["tea"])


def test_with_a_key_many_texts_go_in_one_request_and_each_has_its_vector():
    with genai.serving() as service:
        facts = {MODEL: {"base_url": service.address, "key_env": "GEMINI_API_KEY"}}
        model = load_embedder(MODEL, facts, {"GEMINI_API_KEY": KEY})
        assert model.embed_documents(["tea", "a silent room", "wool"]).shape == (3, 3072)
        assert len(service.asked) == 1


def test_the_first_series_has_task_types_and_the_space_of_vertex_ai():
    with genai.serving() as service:
        name = "genai:gemini-embedding-001"
        facts = {name: {"base_url": service.address, "key_env": "GEMINI_API_KEY"}}
        model = load_embedder(f"{name}/768", facts, {"GEMINI_API_KEY": KEY})
        model.embed_documents(["tea"])
        model.embed_query("tea")
        assert [asked.task for asked in service.asked] == ["RETRIEVAL_DOCUMENT", "RETRIEVAL_QUERY"]
        assert service.asked[0].dimension == 768
        assert service.asked[0].model == "gemini-embedding-001"
        assert model.model.space_name == "gemini-embedding-001/768"
