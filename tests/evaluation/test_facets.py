import pytest
import sqlalchemy as sa

from ragkit.errors import SchemaError, SpaceNotReady
from ragkit.evaluation.facets import question_facets, word_rarity
from ragkit.evaluation.label_free.known_items import make_known_items
from ragkit.evaluation.questions import QuestionSet
from ragkit.migration.migration import Migration
from tests.conftest import changed

QUESTIONS = QuestionSet(
    {"q1": "fish and chips by the harbour, please", "q2": "wool", "q3": "où trouver un café ici ?"},
    {"q1": {"1": 3, "2": 1}, "q2": {"2": 1}, "q3": {"404": 1}},
)


def test_questions_have_a_category_a_length_a_language_and_a_rarity(migration):
    with migration.engine.begin() as connection:
        connection.exec_driver_sql('alter table "Amenities" add column kind text')
        connection.exec_driver_sql("update \"Amenities\" set kind = 'food' where id = 1")
    plan = changed(migration.plan, {"table.category": "kind"})
    facets = question_facets(Migration.open(plan, migration.engine), QUESTIONS)
    # The best row of q2 has no category, and that of q3 does not exist.
    assert facets["category"] == {"q1": "food"}
    assert facets["length"] == {"q1": "6 words and more", "q2": "1-2 words", "q3": "3-5 words"}
    assert facets["language"] == {"q1": "en", "q3": "fr"}  # one word has no clear language
    assert facets["words"]["q2"] == "a rare one"
    assert facets["words"]["q3"] == "one in no row"


def test_without_a_category_column_there_are_no_categories(migration):
    assert question_facets(migration, QUESTIONS)["category"] == {}


def test_a_category_column_that_does_not_exist_is_an_error(migration):
    plan = changed(migration.plan, {"table.category": "kindd"})
    with pytest.raises(
        SchemaError, match=r"no column 'kindd' \(set table.category\); there are: id"
    ):
        Migration.open(plan, migration.engine)


def test_a_word_is_rare_when_few_rows_have_it():
    rows = ["a shop"] * 299 + ["a Kiosk"]
    questions = {"q1": "shop", "q2": "the KIOSK", "q3": "a kiosk", "q4": "!"}
    assert word_rarity(questions, rows) == {
        "q1": "common ones",
        "q2": "one in no row",
        "q3": "a rare one",
        "q4": "one in no row",
    }


def test_known_items_are_made_from_rows_with_different_texts(migration):
    with migration.engine.begin() as connection:
        update = sa.update(migration.table)
        connection.execute(update.where(migration.key == 6).values(content="Too short"))
        duplicate = "Quiet Room is a facility. A silent space."
        connection.execute(update.where(migration.key == 5).values(content=duplicate))
        connection.execute(update.where(migration.key == 4).values(content=None))
    questions = make_known_items(migration)
    assert questions.is_proxy
    answers = {row for grades in questions.qrels.values() for row in grades}
    assert len(answers) == 3
    assert {"1", "2"} < answers
    assert set(questions.texts) == set(questions.qrels)
    assert questions == make_known_items(migration)


def test_known_items_need_rows_with_enough_words(migration):
    with migration.engine.begin() as connection:
        connection.execute(sa.update(migration.table).values(content="x"))
    with pytest.raises(
        SpaceNotReady, match=r"at least 3 different words: public\.Amenities has none"
    ):
        make_known_items(migration)
