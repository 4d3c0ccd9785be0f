"""Faults of the models that a plan names, with the facts that it gives about them."""

from collections.abc import Collection, Iterator

from ragkit.embedding.catalogue import CATALOGUE, Model, find_model, has_batches, is_plugin
from ragkit.embedding.catalogue.facts import Facts
from ragkit.embedding.catalogue.names import split_dimension
from ragkit.embedding.catalogue.providers import PROVIDERS
from ragkit.errors import UnknownModel
from ragkit.migration.plan.data import ColumnSection

_ADDRESS = {"base_url", "key_env", "answers_as"}
_PREFIXES = {"document_prefix", "query_prefix"}
_OF_THE_OBJECT = _ADDRESS | _PREFIXES | {"dimension", "space"}


def model_faults(
    old: ColumnSection | None, new: ColumnSection | None, facts: Facts
) -> Iterator[str]:
    """One line each; a section that is not valid is None."""
    models: dict[str, Model] = {}
    for path, side in (("old", old), ("new", new)):
        if side is None or is_plugin(side.model):
            continue
        try:
            models[path] = find_model(side.model, facts)
        except UnknownModel as error:
            yield f"{path}.model: {error}"
    if "new" in models and not models["new"].is_callable:
        name = models["new"].name
        yield f"new.model: {name} is not in the catalogue: it can be the old model only"
    if old and new:
        yield from _needless(old, new, models)
        named = {split_dimension(side.model)[0] for side in (old, new)}
        for name in sorted(set(facts) - named):
            yield f"model_facts.{name}: expected old.model or new.model without its dimension"
    sides = (("old", old), ("new", new))
    by_name = {split_dimension(side.model)[0]: models.get(path) for path, side in sides if side}
    for name, model in by_name.items():
        if is_plugin(name) or (model and model.is_callable):
            yield from _unused(name, model, facts.get(name, ()))


def _unused(name: str, model: Model | None, given: Collection[str]) -> Iterator[str]:
    """Facts that nobody would heed: a prefix that is put before no text, an address that is not
    asked. `model` is None for a plug-in."""
    if model is None:
        whose, unused = "a plug-in, whose object decides it", _OF_THE_OBJECT
    else:
        provider = PROVIDERS[model.provider]
        whose, unused = f"a model of {model.provider}", set[str]()
        unused |= set() if provider.key_env else _ADDRESS
        unused |= set() if provider.is_prefix else _PREFIXES
        unused |= set() if model.provider == "openai" else {"answers_as"}
    for field in sorted(unused.intersection(given)):
        yield f"model_facts.{name}.{field}: it is not for {whose}: remove it"


def _needless(old: ColumnSection, new: ColumnSection, models: dict[str, Model]) -> Iterator[str]:
    """Two models of one space: the stored vectors serve both."""
    if len(models) < 2 or old.model == new.model:
        return
    spaces = {(m.space_name, m.document_form, m.dimension) for m in models.values()}
    if len(spaces) == 1 and (old.long_texts, old.placement) == (new.long_texts, new.placement):
        yield (
            f"new.model: {old.model} and {new.model} share a space, so their vectors compare: set "
            f"the app's model to {new.model}; there is nothing to migrate"
        )


def batch_faults(new: ColumnSection, facts: Facts, folder: str) -> Iterator[str]:
    """Of backfill.mode: batch."""
    try:
        model = None if is_plugin(new.model) else find_model(new.model, facts)
    except UnknownModel:  # is told already
        return
    if model is None or not has_batches(model):
        names = sorted(name for name, model in CATALOGUE.items() if has_batches(model))
        genai = "genai:gemini-embedding-001"
        yield (
            f"backfill.mode: batch: {new.model} has no batch API here; there is one for "
            f"{', '.join([*names, genai])}: choose one of these, or set backfill.mode: live"
        )
    elif model.provider == "vertex" and not folder:
        yield (
            f"backfill.mode: batch: {new.model} needs a folder of Cloud Storage for its jobs: set "
            "backfill.batch_folder, such as gs://acme-rag/ragkit"
        )
