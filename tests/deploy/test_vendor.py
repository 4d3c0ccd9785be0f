"""The source of a function whose models need more than its own requirements."""

from ragkit.deploy.vendor import FUNCTION, build_source


def test_the_packages_of_models_are_added_to_the_functions_own(tmp_path):
    own = (FUNCTION / "requirements.txt").read_text()
    source = build_source(tmp_path / "source", ["openai==3.57.0"], '{"m": {"max_texts": 3}}')
    assert (source / "requirements.txt").read_text() == f"{own}openai==3.57.0\n"
    assert (source / "model_facts.json").read_text() == '{"m": {"max_texts": 3}}'


def test_without_more_it_is_the_functions_own(tmp_path):
    source = build_source(tmp_path / "source")
    own = (FUNCTION / "requirements.txt").read_bytes()
    assert (source / "requirements.txt").read_bytes() == own
    assert not (source / "model_facts.json").exists()
