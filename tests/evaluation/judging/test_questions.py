import re

import pytest

from ragkit.errors import ConfigError
from ragkit.evaluation.judging.questions import Questions, id_of, load_redact, typed_lines
from ragkit.evaluation.questions import read_questions


def without_mail(text):
    return re.sub(r"\S+@\S+", "…", text)


def failing(text):
    raise RuntimeError(f"cannot redact {text}")


def test_of_a_log_only_the_questions_are_kept_each_once(tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_text('{"text": "ski hire", "user": "ana@x.org", "ip": "10.1.2.3"}\nski hire\nspa\n')
    questions = Questions.of(read_questions(log, None).texts)
    assert questions.texts == {id_of("ski hire"): "ski hire", id_of("spa"): "spa"}


def test_the_ids_of_a_log_stay_when_it_grows(tmp_path):
    log = tmp_path / "log.txt"
    ids = []
    for text in ("spa\nbar\n", "gym\nspa\nbar\n"):
        log.write_text(text)
        ids.append(set(Questions.of(read_questions(log, None).texts).texts))
    assert ids[0] < ids[1]


def test_a_file_keeps_its_own_ids():
    assert Questions.of({"q7": "spa", "q8": "bar"}).texts == {"q7": "spa", "q8": "bar"}


def test_the_hook_comes_first_and_what_becomes_the_same_is_one_question():
    texts = {"log-1": "bill for a@x.org", "log-2": "bill for b@x.org", "log-3": "spa"}
    questions = Questions.of(texts, without_mail)
    assert list(questions.texts.values()) == ["bill for …", "spa"]
    assert set(questions.texts) == {id_of("bill for …"), id_of("spa")}


def test_what_the_hook_leaves_nothing_of_is_counted():
    questions = Questions.of({"log-1": "spa", "log-2": "bar"}, {"spa": "spa", "bar": " "}.get)
    assert (list(questions.texts.values()), questions.emptied) == (["spa"], 1)


def test_a_hook_that_fails_is_told_without_the_text():
    with pytest.raises(ConfigError) as error:
        Questions.of({"log-1": "secret 4711"}, failing)
    assert str(error.value) == "judging.redact failed on a question: RuntimeError"
    assert "4711" not in repr(error.value.__cause__)
    assert error.value.__suppress_context__


@pytest.mark.parametrize("hook", [lambda text: None, lambda text: 7])
def test_a_hook_that_answers_no_text_is_told(hook):
    with pytest.raises(ConfigError, match="expected a text for each question, got"):
        Questions.of({"log-1": "spa"}, hook)


def test_the_hook_is_loaded_as_plug_ins_are():
    assert load_redact("tests.evaluation.judging.test_questions:without_mail")("a@x.org") == "…"
    assert load_redact("")("as it is") == "as it is"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("os:system", "may not be loaded from"),
        ("tests.nowhere:hook", "cannot load"),
        ("tests.conftest:ROLE", "expected a function of a text"),
    ],
)
def test_a_hook_that_is_none_is_refused(name, says):
    with pytest.raises(ConfigError, match=says):
        load_redact(name)


def test_typed_questions_join_those_of_the_plan_once():
    questions = Questions.of({"q1": "spa"})
    assert questions.with_typed(["bar", "spa", "bar"]) == {"q1": "spa", id_of("bar"): "bar"}


def test_typed_in_is_one_a_line_without_blank_ones():
    assert typed_lines("  where is\tthe bar? \n\n\u2028spa\nspa\n") == ["where is the bar?", "spa"]
