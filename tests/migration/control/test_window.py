"""Hours of a day, over midnight too."""

from datetime import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragkit.errors import ConfigError
from ragkit.migration.control.window import Window

TIMES = st.times().map(lambda at: at.replace(second=0, microsecond=0))


@pytest.mark.parametrize(
    ("text", "told"),
    [("22:00-06:00 Europe/Berlin", "22:00-06:00 Europe/Berlin"),
     ("9:05 - 17:30", "09:05-17:30 UTC"), (" 0:00-23:59 Etc/GMT+3 ", "00:00-23:59 Etc/GMT+3")],
)  # fmt: skip
def test_it_is_read_and_told(text, told):
    assert str(Window.parse(text)) == told
    assert Window.parse(told) == Window.parse(text)


@pytest.mark.parametrize(
    "text", ["", "22-6", "24:00-06:00", "22:00-06:60", "22:00-06:00 Berlin!", "night", "6:00-6:00"]
)
def test_what_is_no_window_is_refused(text):
    with pytest.raises(ConfigError, match=r"expected hours|never open"):
        Window.parse(text)


@pytest.mark.parametrize(
    ("now", "minutes"),
    [("21:59", 1), ("22:00", 0), ("23:59", 0), ("05:59", 0), ("06:00", 16 * 60), ("12:00", 600)],
)
def test_it_opens_over_midnight(now, minutes):
    assert Window.parse("22:00-06:00").minutes_until_open(time.fromisoformat(now)) == minutes


@given(TIMES, TIMES, TIMES)
def test_it_is_open_as_many_minutes_later_as_it_says(start, end, now):
    if start == end:
        return
    window = Window(start, end, "UTC")
    wait = window.minutes_until_open(now)
    later = (60 * now.hour + now.minute + wait) % (24 * 60)
    assert window.minutes_until_open(time(later // 60, later % 60)) == 0
    for before in range(wait):
        at = (60 * now.hour + now.minute + before) % (24 * 60)
        assert window.minutes_until_open(time(at // 60, at % 60)) == wait - before
