import json

import pytest

from ragkit.evaluation.judging.record.lines import READER
from tests.evaluation.judging.lines_of import pool, preference, typed, undo


@pytest.mark.parametrize(
    ("left", "answer", "preferred", "value"),
    [
        ("new", "left", "new", 1), ("new", "right", "old", -1),
        ("old", "left", "old", -1), ("old", "right", "new", 1),
        ("old", "equal", None, 0), ("new", "neither", None, 0),
    ],
)  # fmt: skip
def test_a_key_means_what_stood_on_its_side(left, answer, preferred, value):
    line = preference(left=left, answer=answer)
    assert (line.preferred, line.value) == (preferred, value)


def test_a_line_says_who_when_and_about_what_and_is_read_again():
    for line in (preference(), *pool(), undo(row="3"), typed("where is the bar?")):
        text = line.model_dump_json()
        assert READER.validate_json(text) == line
        assert {"at", "judge", "table", "old_model", "new_column"} <= set(json.loads(text))


@pytest.mark.parametrize(
    "change",
    [{"answer": "both"}, {"left": "middle"}, {"judge": ""}, {"at": "yesterday"}, {"kind": "vote"}],
)
def test_another_line_is_none(change):
    with pytest.raises(ValueError):
        READER.validate_python(preference().model_dump() | change)
