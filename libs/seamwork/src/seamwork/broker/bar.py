"""Show a download on a terminal, or in a log that nobody watches."""

from typing import TextIO

from seamwork.broker.jars import Progress

_WIDTH = 30


def bar(stream: TextIO, title: str) -> Progress:
    """
    Return a progress that draws one line on *stream*.

    A terminal sees the line change; anything else gets one line at the end.

    Args:
        stream: Usually standard error.
        title: What is being brought.
    """
    is_terminal = stream.isatty()

    def draw(present: int, wanted: int, last: str) -> None:
        is_done = present == wanted
        if is_terminal:
            full = _WIDTH * present // wanted
            name = "" if is_done else last
            line = f"{title} [{'#' * full}{'.' * (_WIDTH - full)}] {present}/{wanted} {name}"
            # The previous name may have been longer.
            stream.write(f"\r{line:<100.100}" + ("\n" if is_done else ""))
        elif is_done:
            stream.write(f"{title}: {present} of {wanted}\n")
        stream.flush()

    return draw
