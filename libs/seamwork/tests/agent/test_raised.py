"""What a function raised is told without what it was given."""

import json

import pytest

from seamwork.agent.raised import told

SECRET = "DE89 3704 'quoted' \n of two lines"


def raised(error: Exception, payload: object) -> str:
    """Raise an error from another one, in a frame that holds a secret, and tell of it."""
    try:
        try:
            _ = SECRET
            raise KeyError(payload)
        except KeyError as cause:
            raise error from cause
    except type(error) as caught:
        return told(caught, [json.dumps({"lines": [{"iban": payload}]}).encode()])


def test_an_error_keeps_its_place_and_its_words_but_not_the_values_that_it_quotes() -> None:
    """Whoever mends it needs the line and what went wrong."""
    text = raised(ValueError(f"nothing can be done with {SECRET} or {SECRET!r}"), SECRET)

    assert "ValueError: nothing can be done with *** or" in text
    assert "KeyError" in text
    assert "test_raised.py" in text
    assert not any(part in text for part in ("DE89", "3704", "quoted", "of two lines"))


@pytest.mark.parametrize("value", [123456, 1234.5, "Ünïcode", 'with "both" kinds'])
def test_numbers_and_any_way_of_quoting_are_found(value: object) -> None:
    """As they are, as Python writes them, as JSON writes them."""
    text = raised(ValueError(f"{value} {value!r} {json.dumps(value)}"), value)

    assert all(form not in text for form in (str(value), repr(value), json.dumps(value)))


def test_what_is_no_json_is_one_text() -> None:
    """Bytes that nobody could read are not shown either."""
    assert "garbage" not in told(ValueError("cannot read garbage{"), [b"garbage{"])


def test_short_values_stand_in_any_text_by_chance() -> None:
    """To strike out every 'a' would leave nothing to read."""
    assert "ValueError: a line" in told(ValueError("a line"), [b'{"a": "a", "n": 1}'])


def test_what_cannot_be_parsed_for_its_depth_is_one_text() -> None:
    """Reading it must not raise another error in the place of the one that is told."""
    assert "ValueError: broken" in told(ValueError("broken"), [b"[" * 100_000 + b"]" * 100_000])


def test_where_there_is_too_much_to_look_through_the_places_stand_alone() -> None:
    """A megabyte of values in a text of a megabyte would keep the agent from saying that it lives."""
    payload = [f"value-{number:06}" for number in range(40_000)]
    try:
        raise ValueError(payload) from KeyError(payload[0])
    except ValueError as error:
        text = told(error, [json.dumps(payload).encode()])

    assert "ValueError: ***" in text
    assert "KeyError: ***" in text
    assert "test_raised.py" in text
    assert "value-" not in text


def test_what_no_log_could_write_is_written_as_an_escape() -> None:
    """The name of a file that is no UTF-8 comes as halves of surrogate pairs."""
    text = told(ValueError(b"caf\xe9".decode(errors="surrogateescape")))

    assert text.encode().endswith(rb"caf\udce9")
