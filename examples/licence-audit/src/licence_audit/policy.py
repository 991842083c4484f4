"""The policy of allowed licences, as people write it, and how one licence stands in it."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from ruamel.yaml import YAML

from licence_audit.expression import Licence
from licence_audit.facts import Identifier, Standing, Version
from licence_audit.own_files import own_directory

_Listed = Annotated[frozenset[Identifier], Field(max_length=500)]


class ExceptionPolicy(BaseModel):
    """What exceptions after ``WITH`` change: nothing, or they lift the copyleft of their licence."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keeps: _Listed = frozenset()
    lifts: _Listed = frozenset()


class LicencePolicy(BaseModel):
    """Which licences are allowed, need a person, or are forbidden. What is not listed is unlisted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Version
    allowed: _Listed
    copyleft: _Listed
    forbidden: _Listed = frozenset()
    exceptions: ExceptionPolicy = ExceptionPolicy()

    @model_validator(mode="after")
    def _no_licence_stands_twice(self) -> Self:
        twice = (
            (self.allowed & self.copyleft)
            | (self.allowed & self.forbidden)
            | (self.copyleft & self.forbidden)
            | (self.exceptions.keeps & self.exceptions.lifts)
        )
        if twice:
            raise ValueError(f"listed under two headings, keep one: {', '.join(sorted(twice))}")
        return self

    def standing(self, licence: Licence) -> Standing:
        """Say how one licence stands, with its exception where it has one."""
        plain = self._plain(licence.identifier)
        if licence.exception is None or licence.exception in self.exceptions.keeps:
            return plain
        if licence.exception in self.exceptions.lifts:
            return "allowed" if plain == "copyleft" else plain
        # An exception nobody has read may say anything.
        return "unlisted"

    def _plain(self, identifier: str) -> Standing:
        if identifier in self.allowed:
            return "allowed"
        if identifier in self.copyleft:
            return "copyleft"
        return "forbidden" if identifier in self.forbidden else "unlisted"


def load_policy(path: Path | None = None) -> LicencePolicy:
    """
    Read a policy of allowed licences; without a path, the one that comes with the example.

    Raises:
        ValidationError: The file is not a policy; the message names the field.
    """
    place = own_directory("policy") / "allowed-licences.yaml" if path is None else path
    return LicencePolicy.model_validate(YAML(typ="safe", pure=True).load(place.read_text(encoding="utf-8")))
