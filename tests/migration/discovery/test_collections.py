"""A table of several collections: one model for all of them, or one for each."""

import uuid

import pytest

from ragkit.errors import ConfigError
from ragkit.migration.discovery.answers import Answers
from ragkit.migration.discovery.proposal import propose
from tests.conftest import NEW
from tests.migration.discovery.conftest import MODEL

OTHER = str(uuid.UUID(int=7))


@pytest.fixture
def two_models(make, run):
    """One collection of MODEL, and one of eight dimensions."""
    make("LangChain PGVector")
    run(
        f"update langchain_pg_embedding set collection_id = '{uuid.UUID(int=1)}'",
        "insert into langchain_pg_embedding select 'other ' || n, "
        f"'{OTHER}', array_fill(n, array[8])::vector, 'text ' || n from generate_series(1, 9) n",
    )


def test_collections_of_one_dimension_are_migrated_together(engine, make):
    make("LangChain PGVector")  # each row is a collection of its own
    assert propose(engine, "env", Answers(new_model=NEW)).sections["table"]["where"] == ""


def test_of_several_models_one_collection_must_be_named(engine, two_models):
    with pytest.raises(ConfigError, match=rf"--where is needed.*{OTHER}: 8 dimensions") as error:
        propose(engine, "env", Answers(new_model=NEW))
    assert f"collection_id = '{OTHER}'" in str(error.value)


def test_the_model_is_looked_for_in_that_collection_alone(engine, two_models):
    def ask(question):
        if question.name == "where":
            return question.choices[0]
        return question.default

    sections = propose(engine, "env", Answers(new_model=NEW), ask).sections
    assert sections["table"]["where"] == f"collection_id = '{uuid.UUID(int=1)}'"
    assert sections["old"]["model"] == MODEL
    given = Answers(new_model=NEW, where=f"collection_id = '{OTHER}'")
    assert propose(engine, "env", given).sections["old"]["model"] == "unknown/8"
