"""Describe where somebody wants to be told."""

from typing import Annotated

from pydantic import Field

from seamwork.documents.shape import Name, Shape


class Webhook(Shape):
    """
    An address that notifications are posted to, signed as Standard Webhooks 1.0 says.

    *secret* names the file that holds the secret, where the notifier runs; the secret itself is in no document.
    """

    url: Annotated[str, Field(pattern=r"^https?://[^@\s]+$", max_length=2000)]
    secret: Name
