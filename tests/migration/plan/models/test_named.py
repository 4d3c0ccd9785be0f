"""The models that a plan names, with what it says about them."""

import pytest

from ragkit.embedding.catalogue import find_model
from ragkit.errors import PlanError
from ragkit.migration.plan import Plan

BATCH = {"backfill": {"mode": "batch"}}


def plan(old="wordllama-256", new="text-embedding-3-small", facts=None, **new_more):
    return Plan.of(
        {
            "table": {"name": "t", "key": "id", "content": "body"},
            "old": {"model": old, "column": "embedding"},
            "new": {"model": new, "column": "fresh", **new_more},
            **({"model_facts": facts} if facts else {}),
        }
    )


def test_one_line_names_a_model_of_any_provider():
    for name in ("voyage-4-lite/512", "openai:nomic-embed-text/768", "embed-v4.0",
                 "fastembed:BAAI/bge-small-en-v1.5/384", "genai:gemini-embedding-001"):  # fmt: skip
        assert plan(new=name).new.model == name


@pytest.mark.parametrize(
    ("models", "message"),
    [({"new": "nothing"}, "new.model: unknown model 'nothing'"),
     ({"old": "openai:nomic"}, "old.model: unknown model 'openai:nomic'.*/768"),
     ({"new": "unknown/1536"}, "new.model: unknown/1536 is not in the catalogue"),
     ({"new": "voyage-4/300"}, "new.model: unknown model 'voyage-4/300'")],
)  # fmt: skip
def test_a_model_that_cannot_be_is_told_with_its_field(models, message):
    with pytest.raises(PlanError, match=message):
        plan(**models)


@pytest.mark.parametrize(
    "model",
    ["textembedding-gecko@001", "voyage-4", "openai:nomic-embed-text/768", "tests.stand_ins:X"],
)
def test_a_model_without_a_batch_api_is_refused_with_those_that_have_one(model):
    with pytest.raises(
        PlanError, match=r"no batch API.*-2, text-embedding-005, text-embedding-3-large"
    ):
        Plan.of({**plan(new=model).model_dump(by_alias=True), **BATCH})


def test_models_with_a_batch_api():
    for model in ("text-embedding-3-small/512", "gemini-embedding-2", "genai:gemini-embedding-001"):
        batched = Plan.of({**plan(new=model).model_dump(by_alias=True), **BATCH})
        assert batched.backfill.mode == "batch"
        assert batched.reversed().backfill.mode == "live"


@pytest.mark.parametrize("model", ["text-embedding-005", "gemini-embedding-001/768"])
def test_batches_of_vertex_ai_need_a_folder_that_the_model_then_knows(model):
    document = {**plan(new=model).model_dump(by_alias=True), **BATCH}
    with pytest.raises(PlanError, match=r"needs a folder of Cloud Storage.* backfill.batch_folder"):
        Plan.of(document)
    folder = {"batch_folder": "gs://acme-rag/ragkit"}
    batched = Plan.of({**document, "backfill": {**BATCH["backfill"], **folder}})
    assert find_model(model, batched.facts).batch_folder == "gs://acme-rag/ragkit"
    assert find_model(model, batched.reversed().facts).batch_folder == ""


@pytest.mark.parametrize("folder", ["acme-rag", "gs://", "gs://acme/../x y", "https://acme/x"])
def test_a_folder_that_is_none_is_refused(folder):
    document = plan(new="text-embedding-005").model_dump(by_alias=True)
    with pytest.raises(PlanError, match=r"backfill\.batch_folder"):
        Plan.of({**document, "backfill": {"mode": "batch", "batch_folder": folder}})


class TestOneSpace:
    @pytest.mark.parametrize(
        ("old", "new"),
        [("voyage-4", "voyage-4-large"), ("voyage-4-lite/256", "voyage-4/256"),
         ("gemini-embedding-001/768", "genai:gemini-embedding-001/768"),
         ("text-embedding-3-small", "openai:text-embedding-3-small")],
    )  # fmt: skip
    def test_there_is_nothing_to_migrate(self, old, new):
        with pytest.raises(PlanError, match=r"share a space.*nothing to migrate"):
            plan(old, new)

    @pytest.mark.parametrize(
        ("old", "new"), [("voyage-4", "voyage-4/256"), ("voyage-3.5", "voyage-4")]
    )
    def test_another_dimension_or_series_is_another_space(self, old, new):
        assert plan(old, new).new.model == new

    def test_other_long_texts_or_another_place_is_something_to_do(self):
        assert plan("voyage-4", "voyage-4-large", long_texts="pieces")
        assert plan("voyage-4", "voyage-4-large", placement="side_table")


class TestFacts:
    def test_they_make_an_unknown_model_known(self):
        facts = {"openai:nomic-embed-text": {
            "dimension": 768, "base_url": "http://localhost:11434/v1", "retires": "2030-01-31",
        }}  # fmt: skip
        made = plan(new="openai:nomic-embed-text/256", facts=facts)
        assert made.facts["openai:nomic-embed-text"]["dimension"] == 768
        assert Plan.model_validate_json(made.model_dump_json()) == made

    @pytest.mark.parametrize(
        ("facts", "message"),
        [({"price": 1}, "unknown field"), ({"dimension": "many"}, "dimension"),
         ({"retires": "soon"}, "retires"), ({"usd_per_million_tokens": -1}, "greater than"),
         ({"base_url": "http://user:canary@host/v1"}, "without a user"),
         ({"base_url": "ftp://host"}, "expected http"),
         ({"key_env": "sk-canary"}, "never a key itself")],
    )  # fmt: skip
    def test_what_they_cannot_be_is_refused_and_no_secret_is_repeated(self, facts, message):
        with pytest.raises(PlanError, match=message) as error:
            plan(facts={"text-embedding-3-small": facts})
        assert "canary" not in str(error.value)

    @pytest.mark.parametrize(
        ("new", "fact"),
        [("text-embedding-005", {"document_prefix": "passage: "}),
         ("text-embedding-005", {"base_url": "http://localhost:1/v1"}),
         ("all-minilm-l6-v2", {"query_prefix": "query: "}),
         ("fastembed:a/b/384", {"base_url": "http://localhost:1/v1"}),
         ("voyage-4/256", {"answers_as": "voyage"}),
         ("tests.stand_ins.letters:Letters", {"document_prefix": "passage: "}),
         ("tests.stand_ins.letters:Letters", {"dimension": 32}),
         ("tests.stand_ins.letters:Letters", {"space": "letters"})],
    )  # fmt: skip
    def test_what_a_models_provider_would_not_use_is_refused(self, new, fact):
        """A prefix that nobody puts before the texts, an address that nobody asks."""
        base, [(field, _)] = new.removesuffix("/256").removesuffix("/384"), fact.items()
        with pytest.raises(PlanError, match=rf"model_facts\.{base}\.{field}: .*: remove it"):
            plan(new=new, facts={base: fact})

    @pytest.mark.parametrize("value", [float("inf"), 1e9])
    def test_a_price_is_a_number_that_somebody_could_pay(self, value):
        with pytest.raises(PlanError, match="usd_per_million_tokens"):
            plan(facts={"text-embedding-3-small": {"usd_per_million_tokens": value}})

    def test_more_requests_at_once_than_threads_can_be_are_refused(self):
        with pytest.raises(PlanError, match="in_flight"):
            plan(facts={"text-embedding-3-small": {"in_flight": 257}})

    def test_an_address_has_a_host_and_a_port(self):
        for url in ("http://host:abc/v1", "http://[::1", "http:///v1", "http://host:99999/v1"):
            with pytest.raises(PlanError, match=r"base_url.*expected http\(s\)://host/path"):
                plan(facts={"text-embedding-3-small": {"base_url": url}})
        made = plan(facts={"text-embedding-3-small": {"base_url": "http://host/v1//"}})
        assert made.facts["text-embedding-3-small"]["base_url"] == "http://host/v1"  # for Voyage
        for url in ("http://[::1]:8000/v1", "https://host/", "http://host:80/a/b"):
            assert plan(facts={"text-embedding-3-small": {"base_url": url}})

    def test_a_model_that_the_plan_does_not_name_is_refused(self):
        with pytest.raises(PlanError, match=r"model_facts\.text-embedding-3-smal: expected"):
            plan(facts={"text-embedding-3-smal": {"max_texts": 3}})

    def test_one_can_be_set_for_a_run(self):
        changed = Plan.of(
            plan().model_dump(mode="json", exclude_defaults=True),
            ["model_facts.text-embedding-3-small={max_texts: 7}"],
        )
        assert changed.facts == {"text-embedding-3-small": {"max_texts": 7}}
