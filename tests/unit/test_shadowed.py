import json

import pytest

from ragkit.comparison.shadowed import read
from ragkit.errors import ConfigError
from ragkit.shadow import EVENT, overlap, share_of


def line(**more):
    base = {"event": EVENT, "model": "a", "shadow": "b", "k": 3, "ms": 5.0, "dropped": 0}
    return {**base, "overlap": 0.5, "shadow_ms": 9.0, **more}


def failed(text):
    found = line(error=text)
    return {name: value for name, value in found.items() if name not in ("overlap", "shadow_ms")}


def log(tmp_path, text):
    path = tmp_path / "function.log"
    path.write_text(text)
    return path


LINES = [line(), line(overlap=1.0, ms=7.0, dropped=2), failed("ModelBusy: x"), line(model="c")]


def test_lines_of_a_function_among_others(tmp_path):
    text = "starting up\n" + "\n".join(map(json.dumps, LINES)) + '\n{"event": "other"}\n[1]\n{"tor'
    found = read(log(tmp_path, text), "a", "b", 1)
    assert (found.requests, found.errors, found.dropped) == (3, 1, 2)
    assert (found.overlap.mean, found.commonest_error) == (0.75, "ModelBusy: x")
    assert found.shadow_p95_ms == 9.0
    assert 5 < found.p95_ms < 7


def test_what_the_log_service_gives(tmp_path):
    entries = [{"jsonPayload": each, "severity": "INFO"} for each in LINES] + [{"textPayload": "x"}]
    one = read(log(tmp_path, json.dumps(entries, indent=2)), "a", "b", 1)
    assert one == read(log(tmp_path, "\n".join(map(json.dumps, LINES))), "a", "b", 1)


def test_when_all_failed_there_is_no_figure(tmp_path):
    found = read(log(tmp_path, json.dumps(failed("x"))), "a", "b", 1)
    assert (found.requests, found.errors, found.overlap, found.p95_ms) == (1, 1, None, None)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "none at all"),
        ("[{", "none at all"),
        (json.dumps(line(model="c")), "only of c -> b"),
    ],
)
def test_a_log_of_something_else_is_refused(tmp_path, text, says):
    with pytest.raises(ConfigError, match=f"no shadow line of a -> b, {says}"):
        read(log(tmp_path, text), "a", "b", 1)


def test_a_log_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="cannot read"):
        read(tmp_path / "none", "a", "b", 1)


def test_overlap_is_of_what_is_shown():
    one, two = {"name": "A"}, {"name": "B"}
    assert overlap([one, two], [two, one]) == 1.0
    assert overlap([one, one], [one, two]) == 0.5
    assert overlap([one], []) == 0.0
    assert overlap([], []) == 1.0


@pytest.mark.parametrize("text", ["", "half", "-0.1", "1.1", "nan"])
def test_a_share_that_is_none(text):
    with pytest.raises(ConfigError, match="from 0 to 1"):
        share_of(text)
    assert share_of("0.25") == 0.25
