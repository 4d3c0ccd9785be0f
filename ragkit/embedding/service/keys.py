"""Where a service is, and the key that it gets: from the environment only."""

from collections.abc import Mapping

from ragkit.embedding.catalogue import Model
from ragkit.embedding.catalogue.providers import PROVIDERS
from ragkit.errors import ModelUnavailable

SECRET = "_SECRET"
"""Behind a key's variable: the one that names a secret of Secret Manager, which the runbook reads
before, and which the function gets mounted."""
NO_KEY = "none"
"""Sent where none is needed: SDKs require one, or look for one themselves."""


def key_variable(model: Model) -> str:
    """ "" for a model that needs none. The provider's key is for the provider: a server that a
    params file names by `base_url` gets the one that it names too, by `key_env`."""
    if model.base_url or model.key_env:
        return model.key_env
    provider = PROVIDERS.get(model.provider)
    return provider.key_env if provider else ""


def needs_key(model: Model) -> bool:
    """Whether it cannot be called without one."""
    provider = PROVIDERS.get(model.provider)
    return bool(model.key_env or (key_variable(model) and provider and provider.needs_key))


def read_key(model: Model, env: Mapping[str, str]) -> str:
    """ "" without one where none is needed; NO_KEY for a server of the params file that needs none.
    Raises ModelUnavailable, which names the variable."""
    name = key_variable(model)
    key = env.get(name, "").strip()
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ModelUnavailable(
            f"the key of model {model.name} in {name} cannot be sent: expected one word of ASCII "
            "characters, found others in it: copy it again"
        )
    if key or not needs_key(model):
        return key or (NO_KEY if model.base_url else "")
    raise ModelUnavailable(
        f"model {model.name} needs a key: set {name}, or {name}{SECRET} to the name of a secret "
        "of Secret Manager"
    )
