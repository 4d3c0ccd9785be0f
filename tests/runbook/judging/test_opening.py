import getpass

import pytest
import sqlalchemy as sa

from ragkit.errors import ConfigError, SpaceNotReady
from ragkit.migration.schema import expansion
from ragkit.runbook.judging.opening import open_session
from tests.evaluation.judging.conftest import press


@pytest.fixture
def opened(open_runbook, opening):
    return lambda old=None, **changes: opening(open_runbook, old, changes)


@pytest.fixture
def opened_dead(dead_runbook, opening):
    return lambda old=None, **changes: opening(dead_runbook, old, changes)


@pytest.fixture
def opening():
    sessions = []

    def session(runbook, old, changes):
        sessions.append(open_session(runbook(**changes), old))
        return sessions[-1]

    yield session
    for each in sessions:
        each.lists.close()


def shout(text):
    return text.upper()


def test_both_models_are_asked_the_questions_of_the_plan(opened):
    session = opened()
    state = press(session)
    assert (state["mode"], state["judge"], state["remaining"]) == ("pair", "ana", 8)
    assert len(state["left"]) == len(state["right"]) == 3
    assert press(session, "left")["judged"] + state["same"] >= 1


def test_nothing_but_the_questions_of_a_log_is_kept(opened, tmp_path):
    press(opened(), *["left"] * 3)
    kept = "".join(file.read_text() for file in (tmp_path / "judgements").iterdir())
    assert "about fish" in kept
    assert "ana@x.org" not in kept


def test_the_hook_comes_before_everything(opened, tmp_path):
    session = opened(judging__redact="tests.runbook.judging.test_opening:shout")
    assert press(session)["question"].startswith("QUESTION")
    press(session, "left")
    kept = "".join(file.read_text() for file in (tmp_path / "judgements").iterdir())
    assert "about fish" not in kept


def test_the_judge_is_the_login_name_unless_named(opened):
    assert press(opened(judging__judge=""))["judge"] == getpass.getuser()


def test_the_seed_and_the_limits_are_the_plans(opened):
    session = opened(evaluation__seed=7, gates__preference_margin=0.2, judging__rows=2)
    assert press(session)["bar"]["limit"] == 40
    assert len(press(session)["left"]) == 2
    assert session.settings.seed == 7


def test_where_the_old_model_is_dead_rows_are_judged(opened_dead, caplog):
    state = press(opened_dead())
    assert "the old model cannot be called" in caplog.text
    assert state["mode"] == "row"


def test_the_old_models_lists_may_come_from_elsewhere(opened_dead):
    answers = {"log": ["6", "5"]}
    state = press(opened_dead(lambda q, text: answers["log"]))
    assert state["mode"] == "pair"
    assert "Corbett Chemist" in [row["label"] for row in state["left"] + state["right"]]


def test_questions_that_were_made_from_the_rows_are_none_to_judge(opened):
    assert press(opened(evaluation__questions="known-items"))["remaining"] == 0


def test_a_plan_without_questions_takes_what_is_typed_in(opened):
    session = opened(evaluation__questions="")
    assert session.handle({"add": "fish"})["question"] in ("fish", "")


def test_rows_that_went_since_are_not_counted(opened, filled, amenities):
    press(opened(), *["left"] * 2)
    with filled.engine.begin() as connection:
        connection.execute(sa.delete(amenities))
    assert opened().view().judgements.describe_left_out().startswith("left out: ")


def test_a_column_that_is_still_filling_is_refused(runbook_of, migration):
    expansion.expand(migration)
    with pytest.raises(SpaceNotReady, match="finish the backfill first"):
        open_session(runbook_of(migration.plan))


def test_a_name_that_is_none_is_told(opened):
    with pytest.raises(ConfigError, match="expected the judge's name"):
        opened(judging__judge="a\tb")


def test_the_folder_is_for_this_user_only(opened, tmp_path):
    opened()
    assert (tmp_path / "judgements").stat().st_mode & 0o777 == 0o700
