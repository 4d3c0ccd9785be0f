import pytest

from ragkit.errors import ConfigError
from ragkit.migration.discovery.answers import Question, answer_nothing


def test_where_nobody_can_be_asked_a_default_holds():
    assert answer_nothing(Question("app-url", "where is the app?", [], "")) == ""


def test_without_a_default_the_option_that_answers_it_is_named():
    with pytest.raises(ConfigError, match=r"^--table is needed: which one\?; one of: a, b$"):
        answer_nothing(Question("table", "which one?", ["a", "b"]))
