"""From a model's name to its embedder."""

from importlib import import_module

from ragkit.embedding.catalogue import Model, find_model
from ragkit.embedding.embedder import Embedder
from ragkit.embedding.plugin import PluginEmbedder
from ragkit.errors import ModelUnavailable


def load_embedder(name: str) -> Embedder:
    """The embedder of a model in the catalogue, or of `module:attribute`.

    Raises UnknownModel, ConfigError (the plug-in cannot be imported) or ModelUnavailable (its
    package is not installed, its weights or credentials are missing, or it is not in the
    catalogue).
    """
    if ":" in name:
        return PluginEmbedder(name)
    model = find_model(name)
    if not model.is_callable:
        raise ModelUnavailable(f"{name} is not in the catalogue: nobody here can call it")
    try:
        embedder: Embedder = import_module(f"ragkit.embedding.{model.provider}").load(model)
    except ImportError as error:
        raise ModelUnavailable(
            f"model {name} needs the package {error.name!r}: "
            "in the checkout: pip install '.[sandbox]'"
        ) from error
    return embedder


def resolve_model(name: str) -> Model:
    """The catalogue's entry; for `module:attribute`, what a first call of the object tells."""
    return load_embedder(name).model if ":" in name else find_model(name)
