"""The coordinator: counts verdicts, decides what crosses, follows every task to its end."""

__version__ = "0.1.0"
