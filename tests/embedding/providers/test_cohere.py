"""Cohere's SDK."""

from ragkit.embedding.load import load_embedder
from tests.stand_ins.embeddings import cohere
from tests.stand_ins.embeddings.service import KEY


def test_rows_and_questions_have_their_own_input_type():
    with cohere.serving(1024) as service:
        name = "embed-multilingual-v3.0"
        facts = {name: {"base_url": service.address, "key_env": "CO_API_KEY"}}
        model = load_embedder(name, facts, {"CO_API_KEY": KEY})
        model.embed_documents(["tea"])
        model.embed_query("tea")
        assert [asked.task for asked in service.asked] == ["search_document", "search_query"]
        assert model.model.document_form == "search_document"
