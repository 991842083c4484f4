"""Find the files that come with the platform, whether it was installed or is being worked on."""

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from seamwork.errors import MisconfiguredError

# src/seamwork/records/places.py lies five levels below the top of the repository.
_CHECKOUT = Path(__file__).parents[5]


def contracts_dir() -> Traversable:
    """
    Return the folder that holds ``topics``, ``wire`` and ``documents``.

    A wheel carries it inside the package; a checkout has it at its top, and an editable install reads it there.

    Raises:
        MisconfiguredError: Neither is there; the installation is damaged.
    """
    packaged = files("seamwork") / "_contracts"
    if packaged.is_dir():
        return packaged
    checkout = _CHECKOUT / "contracts"
    if checkout.is_dir():
        return checkout
    raise MisconfiguredError(
        f"the platform's contracts are neither in the package ({packaged}) nor in a checkout ({checkout}); "
        "install the seamwork wheel again, or work from a complete checkout"
    )
