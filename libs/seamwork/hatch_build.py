"""
Put the platform's contracts into what is built.

Topics, wire schemas and document schemas live once, at the top of the repository, where people look for
them. A wheel carries them as ``seamwork/_contracts``, an sdist as ``contracts``. An editable install carries
none: it reads the checkout, so that an edited topic file counts at once
(see ``seamwork.records.places.contracts_dir``).
"""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PARTS = ("topics", "wire", "documents")


class CustomBuildHook(BuildHookInterface[Any]):
    """Adds contracts/ by its place: beside us in an sdist, two levels up in a checkout."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """
        Add the contracts to the files of this build.

        Args:
            version: ``standard`` or ``editable``; the latter reads the checkout instead.
            build_data: What hatchling is going to build; changed in place.
        """
        if version == "editable":
            return
        root = Path(self.root)
        beside = root / "contracts"
        source = beside if beside.is_dir() else root.parent.parent / "contracts"
        target = "contracts" if self.target_name == "sdist" else "seamwork/_contracts"
        for part in PARTS:
            if (source / part).is_dir():
                build_data["force_include"][str(source / part)] = f"{target}/{part}"
