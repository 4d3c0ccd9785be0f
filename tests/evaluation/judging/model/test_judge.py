import pytest

from ragkit.errors import ConfigError, ModelUnavailable
from ragkit.evaluation.judging.model.chat import ChatModel
from ragkit.evaluation.judging.model.judge import load_judge
from ragkit.migration.plan.judging import JudgingSection

HERE = "tests.evaluation.judging.model.test_judge"


def always_left(question, left, right):
    return "left"


def says_a_number(question, left, right):
    return 1


def fails(question, left, right):
    raise RuntimeError("sk-secret")


def loaded(name):
    return load_judge(JudgingSection(model=name))


def test_a_function_or_a_service():
    model = loaded(f"{HERE}:always_left")
    assert model.name == f"{HERE}:always_left"
    assert model.judge("fish?", ["a"], ["b"]) == "left"
    assert loaded(f"{HERE}:says_a_number").judge("fish?", ["a"], ["b"]) is None
    assert isinstance(loaded("openai:some"), ChatModel)


def test_the_text_of_a_functions_error_is_left_out():
    with pytest.raises(ModelUnavailable, match=r"failed: RuntimeError$") as raised:
        loaded(f"{HERE}:fails").judge("fish?", ["a"], ["b"])
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    ("name", "told"),
    [("", "judging.model names no model"), (f"{HERE}:HERE", "expected a function"),
     ("os:getcwd", "may not be loaded"), ("nothing:at_all", "cannot load")],
)  # fmt: skip
def test_what_is_no_model(name, told):
    with pytest.raises(ConfigError, match=told):
        loaded(name)
