from datetime import date

import pytest

from ragkit.embedding.catalogue import find_model
from ragkit.embedding.load import load_embedder
from ragkit.embedding.providers.vertex import VertexEmbedder
from ragkit.errors import ModelUnavailable
from ragkit.migration.inspection.checks.model_checks import check_models
from ragkit.migration.inspection.whose.identification import identify
from ragkit.migration.inspection.whose.vector_sample import sample_old
from ragkit.migration.migration import Migration
from tests.conftest import TEXTS, changed, embedder_of, make_table, swap_vectors

TODAY = date(2026, 11, 23)


def embedder(vertex, name="text-embedding-005"):
    return VertexEmbedder(
        find_model(name), {"GCP_PROJECT_ID": "p", "VERTEX_ENDPOINT": vertex.address}
    )


def checks_of(migration, old, new, today=TODAY):
    """By their names."""
    identification = identify(sample_old(migration), (migration.plan.old.model,))
    checks = check_models(migration, old, new, identification, today)
    return {check.name: check for check in checks}


def test_a_model_that_retires_within_a_year_is_a_warning_with_its_date(migration, vertex):
    check = checks_of(migration, None, embedder(vertex))["text-embedding-005 retires"]
    assert "2027-04-01, in 129 days" in check.observed
    assert (check.passed, "params/next.yaml" in check.fix) == (True, True)


def test_a_retired_model_is_reported(migration, vertex):
    gecko = embedder(vertex, "textembedding-gecko@001")
    check = checks_of(migration, gecko, gecko)["textembedding-gecko@001 retires"]
    assert "retired on" in check.observed


def test_a_new_model_that_does_not_answer_fails_with_its_reason(migration, vertex):
    vertex.retired = {"text-embedding-005"}
    check = checks_of(migration, None, embedder(vertex))["new model"]
    assert (check.passed, "retired" in check.observed) == (False, True)


class TestLongTexts:
    @pytest.fixture
    def check(self, engine, plan):
        """The check by what becomes of long texts: two of eight are too long for MiniLM."""
        minilm = embedder_of("all-minilm-l6-v2")
        plan = changed(plan, {"new.model": minilm.model.name})
        make_table(engine, plan, [*TEXTS, "long " * 300, "longer " * 400])

        def check(way, **more):
            migration = Migration.open(changed(plan, {"new.long_texts": way, **more}), engine)
            return checks_of(migration, None, minilm)["long texts"]

        return check

    def test_rows_that_would_become_dead_letters_fail_above_the_gates_limit(self, check):
        failed = check("refuse")
        assert failed.observed == (
            "2 of 8 texts (25.0%) are above 256 tokens, by the model's tokenizer; they would "
            "become dead letters"
        )
        assert (failed.passed, failed.fix) == (False, "set new.long_texts: pieces")
        allowed = check("refuse", **{"gates.dead_letters": 2})
        assert (allowed.passed, allowed.fix) == (None, "set new.long_texts: pieces")

    @pytest.mark.parametrize(("way", "says"), [("cut", "are cut"), ("pieces", "in pieces")])
    def test_rows_that_are_cut_or_split_pass(self, check, way, says):
        passed = check(way)
        assert (passed.passed, passed.fix, says in passed.observed) == (True, "", True)

    def test_a_model_without_a_known_limit_is_undecided(self, migration, new_embedder):
        assert checks_of(migration, None, new_embedder)["long texts"].passed is None


def test_foreign_old_vectors_are_found_before_anything_is_paid_for(migration):
    local = load_embedder("wordllama-256")
    assert checks_of(migration, local, local)["old vectors"].passed is True
    swap_vectors(migration, 0.5)
    checks = checks_of(migration, local, local)
    assert checks["old vectors"].passed is False
    assert "foreign" in checks["old vectors"].observed
    assert "old.model" in checks["old vectors"].fix
    assert "256 dimensions" in checks["old vectors: length"].observed


def test_without_the_old_model_the_vectors_are_described(migration):
    checks = checks_of(migration, None, load_embedder("wordllama-256"))
    assert checks["old vectors: length"].passed is None
    assert "old vectors" not in checks


def test_an_old_model_that_fails_now_decides_nothing(migration, vertex):
    class Busy:
        model = load_embedder("wordllama-256").model

        def embed_documents(self, texts):
            raise ModelUnavailable("no permission")

    check = checks_of(migration, Busy(), embedder(vertex))["old vectors"]
    assert (check.passed, check.observed) == (None, "no permission")


class TestWhoseOldVectors:
    def test_what_the_plan_says_needs_no_words(self, migration):
        local = load_embedder("wordllama-256")
        assert "whose old vectors" not in checks_of(migration, local, local)

    def test_the_model_that_explains_them_is_told_where_the_plan_names_another(self, engine, plan):
        make_table(engine, plan, TEXTS)
        other = Migration.open(changed(plan, {"old.model": "unknown/256"}), engine)
        check = checks_of(other, None, load_embedder("wordllama-256"))["whose old vectors"]
        assert check.observed == "wordllama-256 of content: 100% of the rows"
        assert check.fix == "set old.model: wordllama-256 and table.content: content"
