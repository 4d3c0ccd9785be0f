"""From a model's name, as a params file or EMBEDDING_MODEL has it, to the model.

text-embedding-3-small            of the catalogue
text-embedding-3-small/512        another output of it
openai:nomic-embed-text/768       of a provider, unknown to the catalogue; 768 is what it makes
genai:gemini-embedding-001        of the catalogue, by another provider
text-search-ada-doc-001/1024      nobody here can call it
module:attribute                  a plug-in; module:attribute/256 cuts what it makes
"""

from dataclasses import replace
from typing import Any

from ragkit.embedding.catalogue import cohere, google, local, openai, voyage
from ragkit.embedding.catalogue.facts import Facts, facts_of
from ragkit.embedding.catalogue.model import MAX_DIMENSION, Model
from ragkit.embedding.catalogue.providers import PROVIDERS
from ragkit.errors import UnknownModel

CATALOGUE: dict[str, Model] = {
    model.name: model
    for provider in (local, google, openai, cohere, voyage)
    for model in provider.MODELS
}
_LOCAL = ("sentence-transformers", "fastembed")
_SERVED = Model("", "", 0, in_flight=4)
"""What is taken for granted of a model that the catalogue does not know."""


def is_plugin(name: str) -> bool:
    """Whether it is "module:attribute"."""
    prefix, colon, _ = name.partition(":")
    return bool(colon) and not (prefix in PROVIDERS and PROVIDERS[prefix].is_prefix)


def split_dimension(name: str) -> tuple[str, int | None]:
    """ "name/768" in its parts; None for a name without a dimension that a vector can have."""
    base, _, digits = name.rpartition("/")
    dimension = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 6 else 0
    return (base, dimension) if base and 0 < dimension <= MAX_DIMENSION else (name, None)


def is_known(name: str) -> bool:
    """Whether it is a model that can be called by its name alone."""
    try:
        return find_model(name).is_callable
    except UnknownModel:
        return False


def has_batches(model: Model) -> bool:
    """Whether it can be called by its provider's batch API."""
    provider = PROVIDERS.get(model.provider)
    return bool(model.batch_texts and provider and provider.has_batches)


def find_model(name: str, facts: Facts | None = None) -> Model:
    """The model of this name, with the `facts` that are given for it. For a name with a dimension
    that is none of the catalogue's, such as "text-search-ada-doc-001/1024", a model that cannot be
    called. Not for a plug-in.

    Raises UnknownModel, which lists the known names.
    """
    base, dimension = split_dimension(name)
    own = facts_of(facts, base)
    prefix, colon, rest = base.partition(":")
    provider, served = (prefix, rest) if colon and not is_plugin(base) else ("", base)
    if known := CATALOGUE.get(served):
        by: dict[str, Any] = {}
        if provider:
            by = {"provider": provider, "space": known.space or served}
            by |= {"batch_discount": _SERVED.batch_discount}
        return _with_dimension(replace(known, **{"name": base, **by, **own}), name, dimension)
    if provider and (whole := own.get("dimension") or dimension):
        at_once = 1 if provider in _LOCAL else _SERVED.in_flight
        given = {"dimension": whole, "in_flight": at_once, "shorter": range(1, whole), **own}
        return _with_dimension(
            replace(_SERVED, name=base, provider=provider, **given), name, dimension
        )
    if dimension is None or base in CATALOGUE or colon:
        raise UnknownModel(name, sorted(CATALOGUE))
    return Model(name, provider="", dimension=dimension)


def _with_dimension(model: Model, name: str, dimension: int | None) -> Model:
    """Raises UnknownModel where the model has no such output."""
    if dimension is None:
        return model
    if dimension == model.dimension:
        return replace(model, name=name)
    if dimension not in model.shorter:
        raise UnknownModel(name, sorted(CATALOGUE))
    space = f"{model.space}/{dimension}" if model.space else ""
    return replace(model, name=name, dimension=dimension, whole=model.dimension, space=space)
