import pytest

from ragkit.embedding.catalogue import find_model
from ragkit.embedding.load import load_embedder
from ragkit.migration.inspection.whose.candidates import (
    AS_QUESTION,
    joined_columns,
    load_callable,
    other_ways,
    own_way,
    plausible_models,
)
from tests.conftest import NEW


@pytest.fixture
def no_google(monkeypatch):
    for name in ("GCP_PROJECT_ID", "INSTANCE_CONNECTION_NAME", "VERTEX_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def google(vertex, monkeypatch):
    monkeypatch.setenv("GCP_PROJECT_ID", "p")
    monkeypatch.setenv("VERTEX_ENDPOINT", vertex.address)
    vertex.retired = {"textembedding-gecko@001"}
    return vertex


class TestPlausible:
    def test_models_of_the_dimension_come_first_and_smaller_ones_are_left_out(self):
        same, others = plausible_models([], 256, 256)
        assert "wordllama-256" in same
        assert "text-embedding-3-small/256" in same
        assert {find_model(name).dimension for name in same} == {256}
        assert "all-minilm-l6-v2" in others and "wordllama-64" not in others

    def test_a_smaller_one_can_have_been_padded(self):
        assert "wordllama-256" in plausible_models([], 384, 256)[1]

    def test_a_shorter_output_stands_for_its_model(self):
        same, others = plausible_models([], 768, 768)
        assert "gemini-embedding-001/768" in same
        assert "gemini-embedding-001" not in [*same, *others]

    def test_a_plug_in_is_asked_and_a_name_with_another_dimension_is_not(self):
        same, others = plausible_models([NEW, "unknown/8"], 64, 64)
        assert NEW in same
        assert "unknown/8" not in [*same, *others]


class TestCallable:
    def test_one_that_cannot_be_called_is_skipped_with_its_reason(self, no_google):
        names = ["unknown/768", "nowhere:Model", "text-embedding-005", "wordllama-64"]
        found = load_callable(names)
        assert [embedder.model.name for embedder in found.embedders] == ["wordllama-64"]
        skipped = "\n".join(found.skipped)
        for reason in ("unknown/768 is not in the catalogue", "cannot load 'nowhere:Model'",
                       "text-embedding-005 runs on Vertex AI: set GCP_PROJECT_ID"):  # fmt: skip
            assert reason in skipped

    def test_a_retired_model_is_skipped_and_the_others_of_its_service_are_not(self, google):
        found = load_callable(["textembedding-gecko@001", "text-embedding-005"])
        assert [embedder.model.name for embedder in found.embedders] == ["text-embedding-005"]
        assert found.skipped[0].startswith("textembedding-gecko@001: ")


class TestWays:
    def test_a_model_without_tasks_has_two(self, new_embedder):
        assert own_way(new_embedder).task == ""
        assert [way.task for way in other_ways(new_embedder)] == [AS_QUESTION]

    def test_a_model_with_tasks_is_asked_with_the_others_too(self, google):
        embedder = load_embedder("text-embedding-005")
        ways = [own_way(embedder), *other_ways(embedder)]
        assert [way.task for way in ways] == ["", AS_QUESTION, "SEMANTIC_SIMILARITY", "no task"]
        google.calls.clear()
        for way in ways:
            assert way.embed(["tea"])[0].shape == (find_model("text-embedding-005").dimension,)
        assert [call[1] for call in google.calls] == [
            {"RETRIEVAL_DOCUMENT"}, {"RETRIEVAL_QUERY"}, {"SEMANTIC_SIMILARITY"}, {None},
        ]  # fmt: skip


def test_the_first_three_columns_are_joined_in_both_orders():
    joined = joined_columns({"body": ["b"], "title": ["t"], "kind": ["k"], "rest": ["r"]})
    assert joined["title + ': ' + body"] == ["t: b"]
    assert joined["body + '\\n' + kind"] == ["b\nk"]
    assert len(joined) == 3 * 2 * 4
    assert joined_columns({"body": ["b"]}) == {}
