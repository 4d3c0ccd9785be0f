"""Voyage AI's SDK, and models that share a space."""

import numpy as np

from ragkit.embedding.catalogue import find_model
from ragkit.embedding.load import load_embedder
from ragkit.retrieval.space import Space
from tests.stand_ins.embeddings import voyage
from tests.stand_ins.embeddings.service import KEY


def load(service, name, base):
    facts = {base: {"base_url": f"{service.address}/v1", "key_env": "VOYAGE_API_KEY"}}
    return load_embedder(name, facts, {"VOYAGE_API_KEY": KEY})


def test_rows_and_questions_have_their_own_input_type():
    with voyage.serving() as service:
        model = load(service, "voyage-4-large", "voyage-4-large")
        model.embed_documents(["tea"])
        model.embed_query("tea")
        assert [asked.task for asked in service.asked] == ["document", "query"]


def test_more_dimensions_than_usual_can_be_asked_for():
    with voyage.serving(2048) as service:
        model = load(service, "voyage-4/2048", "voyage-4")
        assert model.embed_documents(["tea"]).shape == (1, 2048)
        assert service.asked[0].dimension == 2048


def test_the_models_of_the_fourth_series_are_one_space():
    names = ("voyage-4-large", "voyage-4", "voyage-4-lite")
    assert {Space.of(find_model(name), "body").fingerprint for name in names} == {
        Space.of(find_model("voyage-4"), "body").fingerprint
    }
    shorter = {Space.of(find_model(f"{name}/256"), "body") for name in names}
    assert len(shorter) == 1
    assert shorter.pop().model == "voyage-4/256"
    assert Space.of(find_model("voyage-3.5"), "body") != Space.of(find_model("voyage-4"), "body")


def test_a_question_by_another_model_of_the_space_finds_its_row():
    with voyage.serving() as service:
        rows = load(service, "voyage-4-large", "voyage-4-large").embed_documents(["tea", "wool"])
        question = load(service, "voyage-4-lite", "voyage-4-lite").embed_query("wool")
        assert np.argmax(rows @ question) == 1
