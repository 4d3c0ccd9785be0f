"""What a deployed function needs for the models of a plan."""

from importlib.metadata import version
from importlib.util import find_spec

from ragkit.embedding.catalogue.facts import load_facts
from ragkit.migration.plan.models.facts import ModelFacts
from ragkit.runbook.models.function import function_needs
from tests.conftest import make_plan

SMALL = "text-embedding-3-small"


def test_the_packages_of_both_models_in_the_versions_that_are_here():
    plan = make_plan({"old.model": "voyage-4", "new.model": SMALL})
    env = {"OPENAI_API_KEY_SECRET": "o", "VOYAGE_API_KEY_SECRET": "projects/p/secrets/v"}
    needs = function_needs(plan, env)
    assert needs.requirements == (
        f"voyageai=={version('voyageai')}", f"openai=={version('openai')}"
    )  # fmt: skip
    assert needs.secrets == {"VOYAGE_API_KEY": "projects/p/secrets/v", "OPENAI_API_KEY": "o"}
    assert needs.facts == ""


def test_nothing_more_for_vertex_ai():
    plan = make_plan({"old.model": "textembedding-gecko@001", "new.model": "text-embedding-005"})
    needs = function_needs(plan, {})
    assert (needs.requirements, needs.secrets) == ((), {})


def test_a_key_in_the_environment_of_the_runbook_is_not_enough():
    plan = make_plan({"new.model": SMALL})
    (missing,) = function_needs(plan, {"OPENAI_API_KEY": "sk-canary"}).missing
    assert "set OPENAI_API_KEY_SECRET" in missing
    assert "canary" not in missing


def test_a_package_that_is_not_here_is_missing_only_for_a_deployment():
    plan = make_plan({"new.model": "sentence-transformers:a/b/384"})
    if not find_spec("sentence_transformers"):
        (missing,) = function_needs(plan, {}).missing
        assert "'sentence-transformers'" in missing


def test_what_the_plan_says_of_models_goes_with_it():
    name = "openai:nomic-embed-text"
    facts = {name: ModelFacts(dimension=768, base_url="http://h/v1")}
    plan = make_plan({"new.model": f"{name}/768"}).model_copy(update={"model_facts": facts})
    needs = function_needs(plan, {})
    assert load_facts(needs.facts) == plan.facts
    assert needs.secrets == {}
