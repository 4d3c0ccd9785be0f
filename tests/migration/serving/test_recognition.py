"""The model behind a real app that says nothing about itself."""

import pytest

from ragkit.deploy.own_app.manual import ManualApp
from ragkit.errors import AppNotRecognised, ModelUnavailable
from ragkit.migration import phases
from ragkit.migration.serving.recognition import Recogniser
from ragkit.retrieval.search import nearest
from ragkit.runbook.deployment import check_of
from tests.conftest import NEW, OLD, embedder_of, with_plan


def dead():
    raise ModelUnavailable("the model is retired")


def recogniser(migration, old=lambda: embedder_of(OLD), new=lambda: embedder_of(NEW)):
    return Recogniser(migration, old, new)


def serving(app, migration, **embedders):
    asked = ManualApp(app.url, check_of(migration.plan), recogniser(migration, **embedders))
    return asked.serving().model


def test_the_answers_tell_the_model_before_and_after_a_restart(own_app, own_migration):
    assert serving(own_app, own_migration) == OLD
    own_app.switch(NEW, "new vector")
    assert serving(own_app, own_migration) == NEW


@pytest.mark.parametrize("matches", ["content", "label"])
def test_texts_and_labels_tell_it_too(own_app, own_migration, matches):
    """The plain texts of another route, behind a key; a label is none of them."""
    changes = {
        "check.method": "POST", "check.path": "/v2/query", "check.matches": matches,
        "check.body": '{"query": {"text": "{question}"}}', "check.rows": "", "check.field": ".",
        "check.authorization_env": "SEARCH_KEY",
    }  # fmt: skip
    migration = with_plan(own_migration, changes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEARCH_KEY", "Bearer canary-key")
        if matches == "content":
            assert serving(own_app, migration) == OLD
        else:
            with pytest.raises(AppNotRecognised, match="hold 0% of wordllama"):
                serving(own_app, migration)
        patch.setenv("SEARCH_KEY", "Bearer canary-wrong")
        with pytest.raises(AppNotRecognised, match=r"401 .*: set check\.auth") as error:
            serving(own_app, migration)
        assert "canary" not in str(error.value)


def test_the_stored_vectors_stand_in_for_a_model_that_cannot_be_called(own_app, own_migration):
    for unavailable in ({"old": dead}, {"new": dead}, {"old": dead, "new": dead}):
        assert serving(own_app, own_migration, **unavailable) == OLD
    own_app.switch(NEW, "new vector")
    for unavailable in ({"old": dead}, {"new": dead}, {"old": dead, "new": dead}):
        assert serving(own_app, own_migration, **unavailable) == NEW


@pytest.mark.parametrize("limit", [1, 3, 10, 25])
@pytest.mark.parametrize("arranged", [list, sorted], ids=["nearest first", "sorted"])
@pytest.mark.parametrize("model", [OLD, NEW])
def test_it_does_not_matter_how_many_rows_the_app_shows(own_migration, limit, arranged, model):
    side = own_migration.old if model == OLD else own_migration.new
    embedder = embedder_of(model)

    def ask(question):
        with own_migration.engine.connect() as connection:
            vector = embedder.embed_query(question)
            rows = nearest(connection, side, vector, ["id"], limit)
        return arranged(str(row["id"]) for row in rows)

    if limit == 25 and arranged is sorted:  # of 30 rows: both models show nearly all of them
        with pytest.raises(AppNotRecognised):
            recogniser(own_migration)(ask)
    else:
        assert recogniser(own_migration)(ask) == model


def test_rows_that_no_question_is_near_to_are_of_neither(own_migration):
    with pytest.raises(AppNotRecognised, match="no model's; correct check"):
        recogniser(own_migration)(lambda _: ["1", "2", "3"])


def test_answers_of_both_models_are_a_switch_that_is_not_finished(own_app, own_migration):
    check, tell = check_of(own_migration.plan), recogniser(own_migration)
    seen: list[str] = []
    recorded = {}

    def ask(question):
        with check.client(own_app.url) as client:
            return check.identify(check.ask(client, question).rows)

    def record(question):
        recorded[question] = ask(question)
        return recorded[question]

    assert tell(record) == OLD
    own_app.switch(NEW, "new vector")

    def mixed(question):
        seen.append(question)
        return recorded[question] if len(seen) % 4 == 0 else ask(question)

    with pytest.raises(AppNotRecognised, match=r"\d of the answers are wordllama-256"):
        tell(mixed)


def test_an_app_without_rows_says_nothing(own_migration):
    with pytest.raises(AppNotRecognised, match="answered no row to 3 of 3 questions"):
        recogniser(own_migration)(lambda _: [])


def test_after_the_retirement_one_column_tells(own_app, own_migration):
    own_app.switch(NEW, "new vector")
    own_migration.record(phases.CUT_OVER)
    own_migration.record(phases.RETIRED)
    assert serving(own_app, own_migration, old=dead) == NEW
    own_app.switch(OLD, "embedding")
    with pytest.raises(AppNotRecognised, match=f"of {NEW}'s rows: no model's"):
        serving(own_app, own_migration)


def test_equal_texts_are_one_row(own_migration):
    """An app that finds the other one of two equal rows answers right."""
    table, key = own_migration.table, own_migration.key
    with own_migration.engine.begin() as connection:
        columns = [c for c in table.c if c.name != own_migration.plan.table.key]
        names = [c.name for c in columns]
        twins = own_migration.select(key + 1000, *columns)
        connection.execute(table.insert().from_select(["id", *names], twins))
    model = recogniser(own_migration)
    rows: dict[str, list[str]] = {}

    def ask(question):
        with own_migration.engine.connect() as connection:
            side = own_migration.new
            vector = embedder_of(NEW).embed_query(question)
            order = own_migration.new_vector.cosine_distance(vector)
            query = own_migration.select(own_migration.key_text).order_by(order, key.desc())
            assert side.column == "new vector"
            rows[question] = list(connection.scalars(query.limit(3)))
        return rows[question]

    assert model(ask) == NEW
    assert any(int(key) > 1000 for keys in rows.values() for key in keys)
