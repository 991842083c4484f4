"""
Price what a model was used for.

Money is whole micro-USD, and a fraction is rounded up, call by call: a budget may be told too much by less than a
millionth of a dollar, and never too little.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from seamwork.errors import MisconfiguredError

_MILLION = 1_000_000
_Price = Annotated[int, Field(ge=0, strict=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUsage:
    """What one call of a model used; the cached tokens are among the input tokens."""

    model: str
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int = 0
    requests: int = 1


class ModelPrice(BaseModel):
    """What a million tokens of one model cost, in micro-USD; cached input costs what input does unless said."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: _Price
    output: _Price
    cached_input: _Price | None = None


class Prices(BaseModel):
    """What every model costs that an agent may call; one that is not in the list is not called."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    models: dict[str, ModelPrice]

    @classmethod
    def from_file(cls, path: Path) -> "Prices":
        """
        Read a price list.

        Raises:
            MisconfiguredError: It cannot be read, or says something else than prices.
        """
        try:
            return cls.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise MisconfiguredError(f"the price list {path} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise MisconfiguredError(
                f"the price list {path} is not UTF-8 (at byte {error.start + 1}); save it as UTF-8"
            ) from error
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise MisconfiguredError(f"the price list {path} is not TOML: {error}") from error
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise MisconfiguredError(f"the price list {path}: {where}: {first['msg']}") from None

    def micro_usd(self, usage: ModelUsage) -> int:
        """
        Return what a call cost; the model is one of the list.

        An endpoint that counts the cached tokens beside the input tokens and not among them is charged for both.
        """
        price = self.models[usage.model]
        cached = price.input if price.cached_input is None else price.cached_input
        among = usage.cached_input_tokens <= usage.input_tokens
        fresh = usage.input_tokens - (usage.cached_input_tokens if among else 0)
        exact = fresh * price.input + usage.cached_input_tokens * cached + usage.output_tokens * price.output
        return -(-exact // _MILLION)
