import json

import pytest

from ragkit.errors import ConfigError
from ragkit.evaluation.label_free.shadow_log import read_shadow_log
from ragkit.retrieval.shadow import EVENT, parse_share, row_overlap


def shadow_line(**fields):
    base = {"event": EVENT, "model": "a", "shadow": "b", "k": 3, "ms": 5.0, "dropped": 0}
    return {**base, "overlap": 0.5, "shadow_ms": 9.0, **fields}


def error_line(text):
    line = shadow_line(error=text)
    return {name: value for name, value in line.items() if name not in ("overlap", "shadow_ms")}


def write_log(tmp_path, text):
    path = tmp_path / "function.log"
    path.write_text(text)
    return path


LINES = [
    shadow_line(),
    shadow_line(overlap=1.0, ms=7.0, dropped=2),
    error_line("ModelBusy: x"),
    shadow_line(model="c"),
]


def test_shadow_lines_among_other_lines(tmp_path):
    text = "starting up\n" + "\n".join(map(json.dumps, LINES)) + '\n{"event": "other"}\n[1]\n{"tor'
    summary = read_shadow_log(write_log(tmp_path, text), "a", "b", 1)
    assert (summary.requests, summary.errors, summary.dropped) == (3, 1, 2)
    assert (summary.overlap.mean, summary.commonest_error) == (0.75, "ModelBusy: x")
    assert summary.shadow_p95_ms == 9.0
    assert 5 < summary.p95_ms < 7


def test_the_output_of_cloud_logging(tmp_path):
    entries = [{"jsonPayload": line, "severity": "INFO"} for line in LINES] + [{"textPayload": "x"}]
    from_cloud = read_shadow_log(write_log(tmp_path, json.dumps(entries, indent=2)), "a", "b", 1)
    plain_lines = "\n".join(map(json.dumps, LINES))
    assert from_cloud == read_shadow_log(write_log(tmp_path, plain_lines), "a", "b", 1)


def test_without_answers_there_is_no_overlap_and_no_time(tmp_path):
    summary = read_shadow_log(write_log(tmp_path, json.dumps(error_line("x"))), "a", "b", 1)
    assert (summary.requests, summary.errors) == (1, 1)
    assert (summary.overlap, summary.p95_ms) == (None, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "found none"),
        ("[{", "found none"),
        (json.dumps(shadow_line(model="c")), "found only c -> b"),
    ],
)
def test_a_log_without_lines_of_both_models_is_an_error(tmp_path, text, message):
    with pytest.raises(ConfigError, match=f"expected shadow lines of a -> b, {message}"):
        read_shadow_log(write_log(tmp_path, text), "a", "b", 1)


def test_a_missing_log_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="cannot read"):
        read_shadow_log(tmp_path / "none", "a", "b", 1)


def test_the_overlap_of_rows_compares_what_they_show():
    a, b = {"name": "A"}, {"name": "B"}
    assert row_overlap([a, b], [b, a]) == 1.0
    assert row_overlap([a, a], [a, b]) == 0.5
    assert row_overlap([a], []) == 0.0
    assert row_overlap([], []) == 1.0


@pytest.mark.parametrize("text", ["", "half", "-0.1", "1.1", "nan"])
def test_an_invalid_share_is_an_error(text):
    with pytest.raises(ConfigError, match="from 0 to 1"):
        parse_share(text)
    assert parse_share("0.25") == 0.25
