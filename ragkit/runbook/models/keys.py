"""The plan's models, and the environment with their keys."""

from collections.abc import Iterator, Mapping

from ragkit.database.secret_manager import read_secret
from ragkit.embedding.catalogue import Model, find_model, is_plugin
from ragkit.embedding.service.keys import key_variable
from ragkit.migration.plan import Plan


def models_of(plan: Plan) -> Iterator[Model]:
    """Those that a provider serves, or that run here by a provider's package."""
    for side in (plan.old, plan.new):
        if not is_plugin(side.model) and (model := find_model(side.model, plan.facts)).is_callable:
            yield model


def keys_of(plan: Plan, env: Mapping[str, str]) -> dict[str, str]:
    """The environment with the keys that variables such as OPENAI_API_KEY_SECRET name; they are
    for calls in this process, and never in its own environment. Raises ConfigError."""
    keys = dict(env)
    for model in models_of(plan):
        if (name := key_variable(model)) and (key := read_secret(name, env)):
            keys[name] = key
    return keys
