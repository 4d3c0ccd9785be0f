import re
import sys

import pytest

from ragkit.embedding.catalogue import CATALOGUE, find_model
from ragkit.embedding.catalogue.providers import PROVIDERS
from ragkit.embedding.load import load_embedder, resolve_model
from ragkit.errors import ModelUnavailable, UnknownModel
from tests.conftest import ROOT

PLUGIN = "tests.stand_ins.letters:Letters"
KEYS = {"OPENAI_API_KEY": "k", "GEMINI_API_KEY": "k", "CO_API_KEY": "k", "VOYAGE_API_KEY": "k"}


def test_an_unknown_model_is_refused():
    with pytest.raises(UnknownModel):
        load_embedder("word2vec")


def test_a_plugin_is_resolved_to_the_model_of_its_embedder():
    assert resolve_model(PLUGIN) == load_embedder(PLUGIN).model


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [("text-embedding-3-small", "openai", "openai"),
     ("gemini-embedding-2", "google.genai", "genai"), ("embed-v4.0", "cohere", "cohere"),
     ("voyage-4", "voyageai", "voyage"), ("fastembed:a/b/384", "fastembed", "fastembed"),
     ("sentence-transformers:a/b/384", "sentence_transformers", "sentence-transformers"),
     ("wordllama-64", "wordllama", "sandbox")],
)  # fmt: skip
def test_a_package_that_is_missing_is_named_with_the_line_that_installs_it(
    monkeypatch, name, module, extra
):
    own = find_model(name).provider.replace("-", "_")
    monkeypatch.delitem(sys.modules, f"ragkit.embedding.providers.{own}", raising=False)
    for loaded in [m for m in sys.modules if m == module or m.startswith(f"{module}.")]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, module, None)
    line = re.escape(f"in the checkout: pip install '.[{extra}]'")
    with pytest.raises(ModelUnavailable, match=line):
        load_embedder(name, None, KEYS)


def test_every_extra_of_a_provider_is_declared_with_its_packages():
    declared = (ROOT / "pyproject.toml").read_text()
    for provider in PROVIDERS.values():
        for package in provider.packages:
            assert f'"{package}>=' in declared
            assert f"\n{provider.extra} = [" in declared


def test_the_reference_names_every_model_of_the_catalogue():
    page = (ROOT / "docs" / "reference.md").read_text()
    section = page.partition("\n## Models\n")[2].partition("\n## ")[0]
    assert [name for name in CATALOGUE if f"`{name}`" not in section] == []
    keys = {p.key_env for p in PROVIDERS.values() if p.key_env}
    assert [key for key in keys if f"`{key}`" not in section] == []
