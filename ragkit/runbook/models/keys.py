"""The plan's models, and the environment with their keys."""

from collections.abc import Iterator, Mapping
from contextlib import suppress

from ragkit.database.secret_manager import read_secret
from ragkit.embedding.catalogue import Model, find_model, is_plugin
from ragkit.embedding.service.keys import key_variable
from ragkit.errors import ConfigError
from ragkit.migration.plan import Plan
from ragkit.migration.plan.data import ColumnSection


def models_of(plan: Plan, *sides: ColumnSection) -> Iterator[Model]:
    """Those that a provider serves, or that run here by a provider's package; of both sides unless
    some are named."""
    for side in sides or (plan.old, plan.new):
        if not is_plugin(side.model) and (model := find_model(side.model, plan.facts)).is_callable:
            yield model


def keys_of(plan: Plan, env: Mapping[str, str], *sides: ColumnSection) -> dict[str, str]:
    """The environment with the keys that variables such as OPENAI_API_KEY_SECRET name; they are
    for calls in this process, and never in its own environment. Raises ConfigError."""
    keys = dict(env)
    for model in models_of(plan, *sides):
        if (name := key_variable(model)) and (key := read_secret(name, env)):
            keys[name] = key
    return keys


def readable_keys(plan: Plan, env: Mapping[str, str]) -> dict[str, str]:
    """The same, without those that cannot be read."""
    keys = dict(env)
    for side in (plan.old, plan.new):
        with suppress(ConfigError):
            keys |= keys_of(plan, env, side)
    return keys
