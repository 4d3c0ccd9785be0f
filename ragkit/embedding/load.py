"""From a model's name to its embedder."""

import os
from collections.abc import Mapping
from importlib import import_module

from ragkit.embedding.catalogue import Model, find_model, is_plugin
from ragkit.embedding.catalogue.facts import Facts
from ragkit.embedding.catalogue.providers import PROVIDERS
from ragkit.embedding.embedder import Embedder
from ragkit.embedding.providers.plugin import PluginEmbedder
from ragkit.embedding.service.keys import read_key
from ragkit.embedding.vertex_ai.service import project_and_location
from ragkit.errors import ModelUnavailable, RagkitError


def load_embedder(
    name: str, facts: Facts | None = None, env: Mapping[str, str] = os.environ
) -> Embedder:
    """The embedder of a model in the catalogue, of one that `facts` tell of, or of
    `module:attribute`. Keys and addresses of services come from `env`.

    Raises UnknownModel, ConfigError (the plug-in cannot be imported) or ModelUnavailable (its
    package is not installed, its weights, key or credentials are missing, or it is not in the
    catalogue).
    """
    if is_plugin(name):
        return PluginEmbedder(name, facts)
    model = find_model(name, facts)
    if not model.is_callable:
        raise ModelUnavailable(f"{name} is not in the catalogue: nobody here can call it")
    return load_model(model, env)


def load_model(model: Model, env: Mapping[str, str] = os.environ) -> Embedder:
    """The embedder of a model of a provider. Raises ConfigError or ModelUnavailable."""
    key = read_key(model, env)  # before an import that may take seconds
    if not key and PROVIDERS[model.provider].is_google:
        project_and_location(model, env)
    module = model.provider.replace("-", "_")
    try:
        embedder: Embedder = import_module(f"ragkit.embedding.providers.{module}").load(model, env)
    except RagkitError:
        raise
    except Exception as error:  # of any library; its text may hold a proxy's password
        if isinstance(error, ImportError) and error.name:
            extra = PROVIDERS[model.provider].extra
            raise ModelUnavailable(
                f"model {model.name} needs the package {error.name!r}: "
                f"in the checkout: pip install '.[{extra}]'"
            ) from error
        raise ModelUnavailable(
            f"the client of model {model.name} cannot be made ({type(error).__name__}): check "
            "base_url, and the environment's proxy and SSL_CERT_FILE"
        ) from None
    return embedder


def resolve_model(name: str, facts: Facts | None = None) -> Model:
    """The catalogue's entry; for `module:attribute`, what a first call of the object tells."""
    return load_embedder(name, facts).model if is_plugin(name) else find_model(name, facts)
