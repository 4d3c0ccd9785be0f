import pytest
import sqlalchemy as sa

from ragkit.comparison.known_items import known_items
from ragkit.comparison.questions import Judged
from ragkit.comparison.traits import rarity, traits
from ragkit.errors import SchemaError, SpaceNotReady
from ragkit.migration.subject import Migration

ASKED = Judged(
    {"q1": "fish and chips by the harbour, please", "q2": "wool", "q3": "où trouver un café ici ?"},
    {"q1": {"1": 3, "2": 1}, "q2": {"2": 1}, "q3": {"404": 1}},
)


def test_questions_are_sorted_by_what_they_are(migration):
    with migration.engine.begin() as connection:
        connection.exec_driver_sql('alter table "Amenities" add column kind text')
        connection.exec_driver_sql("update \"Amenities\" set kind = 'food' where id = 1")
    plan = migration.plan.model_copy(update={"category": "kind"})
    found = traits(Migration.open(plan, migration.engine), ASKED)
    assert found["category"] == {"q1": "food"}  # q2's has none, q3's row is not there
    assert found["length"] == {"q1": "6 words and more", "q2": "1-2 words", "q3": "3-5 words"}
    assert found["language"] == {"q1": "en", "q2": "unclear", "q3": "fr"}
    assert found["words"]["q2"] == "a rare one"
    assert found["words"]["q3"] == "one in no row"


def test_without_a_category_there_is_none(migration):
    assert traits(migration, ASKED)["category"] == {}


def test_a_category_that_is_no_column_is_refused_at_once(migration):
    plan = migration.plan.model_copy(update={"category": "kindd"})
    with pytest.raises(SchemaError, match=r"no column 'kindd' \(set category\); there are: id"):
        Migration.open(plan, migration.engine)


def test_a_word_is_as_rare_as_few_rows_have_it():
    rows = ["a shop"] * 299 + ["a Kiosk"]
    asked = {"q1": "shop", "q2": "the KIOSK", "q3": "a kiosk", "q4": "!"}
    assert rarity(asked, rows) == {
        "q1": "common ones", "q2": "one in no row", "q3": "a rare one", "q4": "one in no row",
    }  # fmt: skip


def test_known_items_are_made_of_rows_of_different_texts(migration):
    with migration.engine.begin() as connection:
        rows = sa.update(migration.table)
        connection.execute(rows.where(migration.key == 6).values(content="Too short"))
        twin = "Quiet Room is a facility. A silent space."
        connection.execute(rows.where(migration.key == 5).values(content=twin))
        connection.execute(rows.where(migration.key == 4).values(content=None))
    found = known_items(migration)
    assert found.proxy
    answers = {row for rows in found.qrels.values() for row in rows}
    assert len(answers) == 3
    assert {"1", "2"} < answers
    assert set(found.texts) == set(found.qrels)
    assert found == known_items(migration)


def test_a_table_without_words_has_none(migration):
    with migration.engine.begin() as connection:
        connection.execute(sa.update(migration.table).values(content="x"))
    with pytest.raises(SpaceNotReady, match=r"no row of public\.Amenities has 3 words"):
        known_items(migration)
