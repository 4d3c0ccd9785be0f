"""The plan's models with their keys, and what a deployed function needs to call them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from ragkit.database.secret_manager import read_secret
from ragkit.embedding.catalogue import Model, find_model, is_plugin
from ragkit.embedding.catalogue.facts import dump_facts
from ragkit.embedding.catalogue.providers import PROVIDERS
from ragkit.embedding.service.keys import SECRET, key_variable, needs_key
from ragkit.errors import ConfigError
from ragkit.migration.plan import Plan


@dataclass(frozen=True)
class FunctionNeeds:
    """`requirements`: lines of its requirements.txt. `secrets`: the Secret Manager's by the
    variables that they are mounted as. `facts`: JSON about its models; "" for none."""

    requirements: tuple[str, ...] = ()
    secrets: Mapping[str, str] | None = None
    facts: str = ""


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


def function_needs(plan: Plan, env: Mapping[str, str]) -> FunctionNeeds:
    """For both models: the way back is the same source. Raises ConfigError, which names what is
    missing here."""
    packages, secrets = dict[str, None](), dict[str, str]()
    for model in models_of(plan):
        packages |= dict.fromkeys(PROVIDERS[model.provider].packages)
        name = key_variable(model)
        if name and (named := env.get(f"{name}{SECRET}")):
            secrets[name] = named
        elif name and needs_key(model):
            raise ConfigError(
                f"the function needs the key of {model.name}: set {name}{SECRET} to the name of "
                "its secret in Secret Manager"
            )
    lines = tuple(_pinned(package) for package in packages)
    facts = json.loads(dump_facts(plan.facts))
    return FunctionNeeds(lines, secrets, dump_facts(facts) if facts else "")


def _pinned(package: str) -> str:
    try:
        return f"{package}=={version(package)}"
    except PackageNotFoundError:
        raise ConfigError(
            f"the function needs the package {package!r} in the version that is here, and it is "
            "not here: install the extra of its provider"
        ) from None
