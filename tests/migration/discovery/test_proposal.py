from dataclasses import replace

import pytest

from ragkit.errors import ConfigError, SchemaError, UnknownModel
from ragkit.migration.discovery.answers import Answers
from ragkit.migration.discovery.proposal import propose
from tests.conftest import NEW, TEXTS
from tests.migration.discovery.conftest import IN_JSON, MODEL, TABLES

WANTED = Answers(new_model=NEW)


def fault(engine, answers=WANTED):
    with pytest.raises((ConfigError, SchemaError)) as error:
        propose(engine, "env", answers)
    return str(error.value)


@pytest.mark.parametrize("framework", TABLES)
def test_table_text_and_model_are_found_without_a_question(engine, make, framework):
    make(framework)
    proposal = propose(engine, "env", WANTED)
    sections = proposal.sections
    assert sections["old"]["model"] == MODEL
    assert sections["new"] == {"model": NEW, "column": "embedding_letters"}
    assert sections["table"]["content"] in ("document", "content", "text", "body", "long text")
    assert any(f"{MODEL} of " in note for note in proposal.notes)
    if framework:
        assert f"it looks like a table of {framework}" in proposal.notes


def test_a_person_is_asked_what_cannot_be_known_and_nothing_else(engine, make, run):
    make("LlamaIndex")
    run("update data_llamaindex set embedding = array_fill(id::int, array[64])::vector")
    asked = []

    def ask(question):
        asked.append((question.name, question.default))
        return {"new-model": NEW, "app-url": "https://shop.example.com"}.get(
            question.name, question.default
        )

    sections = propose(engine, "env", Answers(), ask).sections
    assert asked == [("old-model", "unknown/64"), ("new-model", None), ("app-url", "")]
    assert sections["old"] == {"model": "unknown/64", "column": "embedding"}
    assert sections["app"]["url"] == "https://shop.example.com"


def test_what_the_vectors_were_made_of_wins_over_the_longest_text(engine, make, run):
    make("")
    run(
        'alter table "Shop Items" rename column title to body',
        "alter table \"Shop Items\" add column story text default repeat('once upon a time ', 50)",
    )
    assert propose(engine, "env", WANTED).sections["table"]["content"] == "long text"


class TestWhichTable:
    def test_a_database_without_vectors_is_told(self, engine):
        assert "has no vector column" in fault(engine)

    def test_of_five_vector_columns_one_must_be_named(self, engine, make, run):
        make("LlamaIndex")
        run(*(f"alter table data_llamaindex add column v{n} vector(8)" for n in range(4)))
        message = fault(engine)
        assert message.startswith("--table is needed: which table and vector column")
        assert message.count("public.data_llamaindex.") == 5
        named = Answers(table="data_llamaindex", column="embedding", new_model=NEW)
        assert propose(engine, "env", named).sections["old"]["column"] == "embedding"

    def test_a_name_that_does_not_exist_lists_those_that_do(self, engine, make):
        make("LlamaIndex")
        message = fault(engine, Answers(table="nowhere"))
        assert "no such vector column; there are: public.data_llamaindex.embedding" in message

    def test_a_view_is_refused_as_such(self, engine, make, run):
        make("LlamaIndex")
        run("create view v as select * from data_llamaindex")
        assert "is a view: ragkit migrates tables" in fault(engine, Answers(table="v"))

    def test_a_table_without_a_key_gets_the_statement_that_makes_one(self, engine, run):
        run("create table t (id int, body text, v vector(8))")
        assert "ALTER TABLE public.t ADD COLUMN id" in fault(engine)

    def test_a_table_without_a_text_is_refused(self, engine, run):
        run("create table t (id int primary key, v vector(8))")
        assert "public.t has no text column" in fault(engine)


@pytest.mark.parametrize("framework", IN_JSON)
def test_a_text_inside_json_is_an_expression(engine, make, framework):
    make(framework)
    proposal = propose(engine, "env", WANTED)
    assert proposal.sections["old"]["model"] == MODEL
    table = proposal.sections["table"]
    assert (
        table["content"]
        == {"mem0": "(payload->>'data')", "vecs": "(metadata->>'content')"}[framework]
    )
    assert (table["label"], table["category"]) == ("", "")


def test_a_table_that_holds_no_text_at_all_says_what_to_do(engine, make, run):
    make("vecs")
    run("update docs set metadata = '{\"page\": 7}'")
    message = fault(engine)
    assert "a table of vecs without a text: none is in metadata under text, content" in message
    assert "let the app index it again" in message


def test_a_column_that_is_mostly_empty_is_said(engine, make):
    make("Haystack", [*TEXTS, *(f"{n}" for n in range(3))])
    assert not any("only" in note for note in propose(engine, "env", WANTED).notes)


def test_few_texts_are_a_note(engine, run):
    run("create table t (id int primary key, body text, v vector(64))",
        "insert into t select n, case when n < 3 then 'text' end, array_fill(n, array[64])::vector "
        "from generate_series(1, 20) n")  # fmt: skip
    notes = propose(engine, "env", WANTED).notes
    assert any("only 10% of the sampled rows hold a text in body" in note for note in notes)


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (Answers(content="nope", new_model=NEW), "--content is 'nope'; expected one of text"),
        (Answers(key="text", new_model=NEW), "--key is 'text'; expected one of id"),
        (Answers(new_model="unknown/8"), "it can be the old model only"),
    ],
)
def test_a_wrong_answer_says_what_is_possible(engine, make, answers, message):
    make("LlamaIndex")
    assert message in fault(engine, answers)


def test_an_unknown_new_model_lists_the_known_ones(engine, make):
    make("LlamaIndex")
    with pytest.raises(UnknownModel, match="text-embedding-005"):
        propose(engine, "env", Answers(new_model="gpt"))


def test_a_table_without_vectors_has_nothing_to_migrate(engine, run):
    run("create table t (id int primary key, body text, v vector)")
    assert "holds no vector yet" in fault(engine)


def test_a_new_column_never_takes_a_name_that_is_there(engine, make, run):
    make("LlamaIndex")
    run("alter table data_llamaindex add column embedding_letters text")
    assert propose(engine, "env", WANTED).sections["new"]["column"] == "embedding_letters_2"


def test_a_partitioned_table_is_proposed_and_one_without_a_key_is_refused(engine, make, run):
    make("LlamaIndex")
    run(
        "alter table data_llamaindex rename to plain",
        "create table parted (like plain including all) partition by hash (id)",
        "create table part partition of parted for values with (modulus 1, remainder 0)",
        "insert into parted select * from plain",
        "drop table plain cascade",
    )
    proposal = propose(engine, "env", WANTED)
    assert proposal.sections["table"]["name"] == "parted"
    assert proposal.sections["old"]["model"] == MODEL
    run("alter table parted drop constraint parted_pkey")
    assert "partition it by a column that is unique and NOT NULL" in fault(engine)


def test_columns_in_capitals_are_no_framework_s(engine, run):
    """Their names would have to be quoted, and no framework makes them."""
    run(
        'create table memories (id int primary key, vector vector(3), body text, "Payload" jsonb)',
        """insert into memories values (1, '[1, 2, 3]', 'tea', '{"data": "tea"}')""",
    )
    proposal = propose(engine, "env", Answers(new_model="wordllama-64"))
    assert proposal.sections["table"]["content"] == "body"
    assert "way" not in proposal.sections["app"]


def test_vectors_of_several_dimensions_are_told_with_the_way_out(engine, run):
    run(
        "create table n (id int primary key, body text, v vector)",
        "insert into n values (1, 'tea', '[1, 2]'), (2, 'wool', '[1, 2, 3]')",
    )
    answers = Answers(new_model="wordllama-64")
    with pytest.raises(SchemaError, match=r"2 and 3 dimensions.*table\.where.*--where"):
        propose(engine, "env", answers)
    proposal = propose(engine, "env", replace(answers, where="vector_dims(v) = 3"))
    assert proposal.sections["old"]["model"] == "unknown/3"


def test_vectors_of_another_type_are_told(engine, run):
    run("create table n (id int primary key, body text, v sparsevec(8))")
    with pytest.raises(SchemaError, match=r"has no vector column.*vector or halfvec"):
        propose(engine, "env", Answers(new_model="wordllama-64"))
