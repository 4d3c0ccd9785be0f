"""Keys of models: from the environment, or from Secret Manager by the name of the secret."""

import os

import pytest

from ragkit.errors import ConfigError
from ragkit.runbook.models.keys import keys_of, models_of, readable_keys
from tests.conftest import make_plan
from tests.stand_ins import secret_manager

SECRET = "projects/p/secrets/openai/versions/latest"


@pytest.fixture
def plan():
    return make_plan({"new.model": "text-embedding-3-small"})


def test_the_models_of_a_plan_are_those_of_a_provider(plan):
    assert [model.name for model in models_of(plan)] == ["wordllama-256", "text-embedding-3-small"]
    gone = make_plan({"old.model": "unknown/3", "new.model": "tests.stand_ins.letters:Letters"})
    assert list(models_of(gone)) == []


def test_a_key_of_the_environment_stays(plan):
    assert keys_of(plan, {"OPENAI_API_KEY": "sk-1"})["OPENAI_API_KEY"] == "sk-1"


def test_a_key_is_read_from_secret_manager_and_not_put_into_the_environment(plan):
    with secret_manager.serving({SECRET: "sk-canary"}) as address:
        env = {"OPENAI_API_KEY_SECRET": "openai", "GCP_PROJECT_ID": "p",
               "SECRET_MANAGER_ENDPOINT": address}  # fmt: skip
        assert keys_of(plan, env)["OPENAI_API_KEY"] == "sk-canary"
        assert "OPENAI_API_KEY" not in env
        assert os.environ.get("OPENAI_API_KEY") != "sk-canary"


def test_a_secret_that_cannot_be_read_names_its_variable(plan):
    with secret_manager.serving({}) as address:
        env = {"OPENAI_API_KEY_SECRET": SECRET, "SECRET_MANAGER_ENDPOINT": address}
        with pytest.raises(ConfigError, match="OPENAI_API_KEY_SECRET"):
            keys_of(plan, env)
    with pytest.raises(ConfigError, match="OPENAI_API_KEY_SECRET is a short name"):
        keys_of(plan, {"OPENAI_API_KEY_SECRET": "openai"})


def test_what_cannot_be_read_of_one_model_is_no_matter_of_the_other():
    plan = make_plan({"old.model": "voyage-4", "new.model": "text-embedding-3-small"})
    with secret_manager.serving({SECRET: "sk-canary"}) as address:
        env = {"OPENAI_API_KEY_SECRET": SECRET, "VOYAGE_API_KEY_SECRET": "projects/p/secrets/gone",
               "SECRET_MANAGER_ENDPOINT": address}  # fmt: skip
        assert keys_of(plan, env, plan.new)["OPENAI_API_KEY"] == "sk-canary"
        assert readable_keys(plan, env)["OPENAI_API_KEY"] == "sk-canary"
        with pytest.raises(ConfigError, match="VOYAGE_API_KEY_SECRET"):
            keys_of(plan, env, plan.old)


def test_no_key_is_read_for_a_model_that_needs_none():
    assert keys_of(make_plan(), {"OPENAI_API_KEY_SECRET": "openai"}) == {
        "OPENAI_API_KEY_SECRET": "openai"
    }
