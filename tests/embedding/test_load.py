import pytest

from ragkit.embedding.load import load_embedder, resolve_model
from ragkit.errors import UnknownModel

PLUGIN = "tests.stand_ins.letters:Letters"


def test_an_unknown_model_is_refused():
    with pytest.raises(UnknownModel):
        load_embedder("word2vec")


def test_a_plugin_is_resolved_to_the_model_of_its_embedder():
    assert resolve_model(PLUGIN) == load_embedder(PLUGIN).model
