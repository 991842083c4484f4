"""Know up to where everything in one partition is finished: what may be committed, and nothing beyond."""


class FinishedPrefix:
    """
    The contiguous prefix of one partition.

    Records are read in order and finish in any order. *committable* is the offset of the first record that is not
    finished: a crash there redelivers it and all after it, and loses nothing.
    """

    def __init__(self, position: int) -> None:
        self._read = position
        self._open: dict[int, None] = {}

    @property
    def position(self) -> int:
        """The offset that will be read next."""
        return self._read

    @property
    def committable(self) -> int:
        """The offset up to which everything is finished."""
        # Offsets are inserted in the order of the log, so the first key is the smallest.
        return next(iter(self._open), self._read)

    def read(self, offset: int) -> None:
        """Note that the record at *offset* was read; offsets may have gaps and never go back."""
        if offset < self._read:
            message = f"offset {offset} was read after {self._read - 1}"
            raise ValueError(message)
        self._read = offset + 1

    def begin(self, offset: int) -> None:
        """Keep the prefix before *offset*, the record just read, until it is finished."""
        self._open[offset] = None

    def finish(self, offset: int) -> None:
        """Let the prefix pass *offset*; finishing twice changes nothing."""
        self._open.pop(offset, None)
