"""What makes an installation itself is written for its operator's eyes only, and fits the manifests."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from ruamel.yaml import YAML

from seamwork.clock import SystemClock
from seamwork.deploy.private import write_identity
from seamwork.errors import MisconfiguredError
from seamwork.platform.home import PlatformHome

Manifest = dict[str, Any]


def test_the_identity_fits_what_the_pods_ask_for(
    of_kind: Callable[[str], dict[str, Manifest]], tmp_path: Path
) -> None:
    """Every ConfigMap and every Secret that a pod names and no operator makes is there."""
    home = PlatformHome(tmp_path / "prod")
    home.ensure(SystemClock(), prefix="seamwork", partitions=12)
    files = write_identity(home, tmp_path / "private", "seamwork")
    text = (tmp_path / "private" / "identity.yaml").read_text(encoding="utf-8")
    written = {
        (one["kind"], one["metadata"]["name"]): one for one in YAML(typ="safe", pure=True).load_all(text)
    }
    made_by_strimzi = {*of_kind("KafkaUser"), "seamwork-cluster-ca-cert"}
    asked = set()
    for pod in (*of_kind("Deployment").values(), *of_kind("StatefulSet").values()):
        spec = pod["spec"]["template"]["spec"]
        asked |= {("ConfigMap", one["configMapRef"]["name"]) for one in spec["containers"][0]["envFrom"]}
        sources = [
            one for volume in spec["volumes"] for one in volume.get("projected", {}).get("sources", ())
        ]
        asked |= {("Secret", one["secret"]["name"]) for one in sources}
    asked = {(kind, name) for kind, name in asked if name not in made_by_strimzi}

    assert asked == set(written)
    for one in written.values():
        kubernetes_validate.validate(one, "1.37", strict=True)
    assert home.identity().id == written["ConfigMap", "seamwork-platform"]["data"]["SEAMWORK_PLATFORM_ID"]
    seed = base64.b64decode(written["Secret", "router-signing-key"]["data"]["signing.key"])
    assert home.key_file("router-1").read_bytes() + b"router-1\n" == seed
    assert {0o600} == {path.stat().st_mode & 0o777 for path in files}


def test_a_service_gets_its_latest_key_with_its_id(tmp_path: Path) -> None:
    """Manifests are the same before and after a key was renewed; the id comes with the key."""
    home = PlatformHome(tmp_path / "prod")
    home.ensure(SystemClock(), prefix="seamwork", partitions=12)
    write_identity(home, tmp_path / "private", "seamwork")
    home.ensure_key("router-2")
    seed = home.key_file("router-2").read_text(encoding="ascii")
    write_identity(home, tmp_path / "private", "seamwork")

    assert f"{seed}router-2\n" == (tmp_path / "private" / "router.key").read_text(encoding="ascii")
    assert "cost-cap-1" == (tmp_path / "private" / "cost-cap.key").read_text(encoding="ascii").split()[1]


def test_another_platforms_identity_is_not_written_over(tmp_path: Path) -> None:
    """Its private keys may be nowhere else."""
    ours, others = (PlatformHome(tmp_path / name) for name in ("ours", "others"))
    for home in (ours, others):
        home.ensure(SystemClock(), prefix="seamwork", partitions=12)
    write_identity(others, tmp_path / "private", "seamwork")
    before = {path: path.read_bytes() for path in (tmp_path / "private").iterdir() if path.is_file()}

    with pytest.raises(MisconfiguredError, match=f"{others.identity().id}.* nothing was written"):
        write_identity(ours, tmp_path / "private", "seamwork")
    assert before == {path: path.read_bytes() for path in (tmp_path / "private").iterdir() if path.is_file()}


def test_the_roots_key_goes_nowhere(tmp_path: Path) -> None:
    """Nor does the publisher's: both are needed here and by no service."""
    home = PlatformHome(tmp_path / "prod")
    home.ensure(SystemClock(), prefix="seamwork", partitions=12)
    home.ensure_key("publisher-1")
    files = write_identity(home, tmp_path / "private", "seamwork")
    said = "".join(path.read_text(encoding="utf-8") for path in files)

    for kid in ("root", "publisher-1"):
        seed = home.key_file(kid).read_text(encoding="ascii").strip()
        assert seed not in said
        assert base64.b64encode(seed.encode()).decode() not in said


@pytest.mark.parametrize(
    ("folder", "line"),
    [
        ("plain", "{}/plain"),
        ("a b", '"{}/a b"'),
        ("a #b", '"{}/a #b"'),
        ("a$HOME", '"{}/a\\$HOME"'),
        ('a"b', '"{}/a\\"b"'),
        ("a\\b", '"{}/a\\\\b"'),
    ],
)
def test_compose_reads_the_folder_as_it_is_called(folder: str, line: str, tmp_path: Path) -> None:
    """A blank and a hash begin a comment in its file of variables, and a dollar another variable."""
    home = PlatformHome(tmp_path / "prod")
    home.ensure(SystemClock(), prefix="seamwork", partitions=12)
    write_identity(home, tmp_path / folder, "seamwork")
    lines = (tmp_path / folder / "platform.env").read_text(encoding="utf-8").splitlines()

    assert f"SEAMWORK_PRIVATE={line.format(tmp_path)}" in lines
