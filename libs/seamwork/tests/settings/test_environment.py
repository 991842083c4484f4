"""A service's own settings: strict names, converted values, secrets by file."""

import os
from pathlib import Path
from typing import Annotated

import pytest
from msgspec import Meta

from seamwork.errors import MisconfiguredError
from seamwork.settings.environment import ServiceSettings, others_can_read, read_settings, secret_text


class Settings(ServiceSettings, frozen=True, kw_only=True):
    """Settings of one service."""

    horizon_s: Annotated[int, Meta(ge=1)]
    ratio: float = 0.5
    strict: bool = True
    folder: Path = Path("here")
    label: str = ""


GIVEN = {"SEAMWORK_COST_CAP_HORIZON_S": "60"}


def read(**more: str) -> Settings:
    """Read the settings with *more* given."""
    named = {f"SEAMWORK_COST_CAP_{name}": value for name, value in more.items()}
    return read_settings(
        Settings, "cost-cap", {**GIVEN, **named, "SEAMWORK_ROUTER_OTHER": "x", "PATH": "/bin"}
    )


def test_values_come_as_their_types() -> None:
    """Numbers, booleans, paths, texts; other services' names are not ours to judge."""
    expected = Settings(horizon_s=60, ratio=0.25, strict=False, folder=Path("/data"), label="a=b")

    assert expected == read(RATIO="0.25", STRICT="false", FOLDER="/data", LABEL="a=b")


def test_defaults_stand_where_nothing_is_given() -> None:
    """Only what has no default must be given."""
    assert Settings(horizon_s=60) == read()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("HORIZONS", "1", "did you mean SEAMWORK_COST_CAP_HORIZON_S?"),
        ("UNHEARD_OF", "1", "known are SEAMWORK_COST_CAP_FOLDER"),
        ("HORIZON_S", "0", "SEAMWORK_COST_CAP_HORIZON_S does not fit"),
        ("RATIO", "much", "SEAMWORK_COST_CAP_RATIO does not fit"),
        ("RATIO", os.fsdecode(b"0.5\xa0"), "SEAMWORK_COST_CAP_RATIO does not fit: it is not UTF-8"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(name: str, value: str, message: str) -> None:
    """The variable is named, and what was meant."""
    with pytest.raises(MisconfiguredError) as caught:
        read(**{name: value})

    assert message in str(caught.value)


def test_what_is_missing_is_named() -> None:
    """A service does not run with half of its settings."""
    with pytest.raises(MisconfiguredError, match="SEAMWORK_COST_CAP_HORIZON_S is not set"):
        read_settings(Settings, "cost-cap", {})


def test_a_secret_is_read_from_its_file(tmp_path: Path) -> None:
    """Its end of line is not part of it; a missing file is named by its variable."""
    (tmp_path / "secret").write_text("s3cret\n", encoding="utf-8")

    assert "s3cret" == secret_text(tmp_path / "secret", "SEAMWORK_X_FILE")
    with pytest.raises(MisconfiguredError, match=r"SEAMWORK_X_FILE cannot be read \(No such file"):
        secret_text(tmp_path / "none", "SEAMWORK_X_FILE")


@pytest.mark.parametrize(
    ("mode", "ours", "handed"), [(0o600, False, False), (0o640, True, False), (0o604, True, True)]
)
def test_a_secret_that_was_handed_to_us_may_be_our_groups_and_never_everybodys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, *, ours: bool, handed: bool
) -> None:
    """Kubernetes mounts a secret as root's, for the group of a process that is not root."""
    secret = tmp_path / "signing.key"
    secret.write_text("canary", encoding="ascii")
    secret.chmod(mode)
    owner = secret.stat().st_uid

    assert ours == others_can_read(secret)
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    assert handed == others_can_read(secret)
