"""
Say who must act: one hierarchy of errors, sorted by what happens next.

A refusal is a verdict, never an exception; what stands here stops a step or a process. Messages say what
happened, where, and what to do, and name fields, never payload values.
"""


class SeamworkError(Exception):
    """The base of every error of Seamwork; never raised itself."""


class RetryableError(SeamworkError):
    """The world failed: the same step may succeed later, with a bound on the tries."""


class UnprocessableError(SeamworkError):
    """The record, document or argument can never succeed; set it aside and say so."""


class MisconfiguredError(SeamworkError):
    """We were set up wrongly: leave before the first record, and name the setting and the mend."""


class FencedError(SeamworkError):
    """Another owner took over: write nothing more, drop the state, stop."""


class OutcomeUnknownError(SeamworkError):
    """An append may or may not be in the log: send the same bytes again, or stop; never build others."""
