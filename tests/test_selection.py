import pytest

from chatkeep.errors import WrongUse
from chatkeep.selection import Selection, moment


def test_a_date_begins_at_midnight_and_ends_with_its_last_second():
    selection = Selection(since="2024-05-01", until="2024-05-31")
    assert (selection.begins, selection.ends) == ("2024-05-01T00:00:00", "2024-06-01T00:00:00")


def test_a_time_is_taken_in_utc():
    assert moment("2024-05-01T12:00:00+02:00") == "2024-05-01T10:00:00"
    assert moment("2024-05-01T12:00:00Z", after=True) == "2024-05-01T12:00:01"


def test_no_dates_mean_no_limits():
    assert (Selection().begins, Selection().ends) == ("", "")


@pytest.mark.parametrize("text", ["yesterday", "2024-13-01", "2024", "9999-12-31T23:59:59-10:00", "", "9999-12-31"])
def test_what_is_no_date_is_refused_with_an_example(text):
    with pytest.raises(WrongUse) as wrong:
        moment(text, after=True)
    assert "2024-05-31" in wrong.value.hint
