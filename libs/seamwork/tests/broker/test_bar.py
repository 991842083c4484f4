"""A download is seen on a terminal and does not fill a log."""

import io

from seamwork.broker.bar import bar


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def test_a_terminal_sees_one_line_change() -> None:
    """Back to its beginning each time, and on to the next at the end."""
    stream = Terminal()
    draw = bar(stream, "Kafka")
    draw(1, 2, "a-rather-long-name.jar")
    draw(2, 2, "b.jar")

    first, second = stream.getvalue().removeprefix("\r").split("\r")
    assert "Kafka [###############...............] 1/2 a-rather-long-name.jar" == first.rstrip(" ")
    assert f"Kafka [{'#' * 30}] 2/2" == second.rstrip()
    assert second.endswith("\n")
    assert len(first) == len(second.rstrip("\n"))


def test_a_log_gets_one_line() -> None:
    """Without control characters, when all is there."""
    stream = io.StringIO()
    draw = bar(stream, "Kafka")
    draw(1, 2, "a.jar")
    draw(2, 2, "b.jar")

    assert "Kafka: 2 of 2\n" == stream.getvalue()
