"""How the code is written: sizes, `__init__` files, late imports, what never stands in a file."""

import ast
import re
import subprocess
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = ("src", "tests", "benchmarks", "scripts", "agents", "tools", "evals")
FILE_LINES = 400
FUNCTION_LINES = 60


def python_files(*folders: str) -> list[Path]:
    return sorted(
        path
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if not {"__pycache__", ".stretto", "build"} & set(path.relative_to(ROOT).parts)
    )


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name


def at(path: Path, node: ast.stmt | ast.expr) -> str:
    return f"{shown(path)}:{node.lineno}"


def nothing(found: Iterable[object]) -> None:
    """Fails with one line for each thing found."""
    lines = [str(item) for item in found]
    assert not lines, "\n".join(["", *lines])


def long_files(paths: list[Path]) -> Iterator[str]:
    for path in paths:
        lines = len(path.read_text("utf-8").splitlines())
        if lines > FILE_LINES:
            yield f"{shown(path)}: {lines} lines"


def long_functions(module: ast.Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES:
                yield node.name, lines


def test_no_file_is_too_long() -> None:
    nothing(long_files(python_files(*OURS)))


def test_no_function_is_too_long() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {n}" for path in python_files(*OURS) for n in long_functions(tree(path))
    ]
    nothing(found)


def test_a_long_file_and_a_long_function_are_seen(tmp_path: Path) -> None:
    path = tmp_path / "long.py"
    path.write_text("async def f():\n" + "    x = 1\n" * 400)
    assert list(long_files([path])) == ["long.py: 401 lines"]
    assert list(long_functions(ast.parse(path.read_text()))) == [("f", 401)]


@pytest.mark.parametrize("path", python_files("src"), ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_a_file_opens_by_saying_what_it_does(path: Path) -> None:
    assert (path.stat().st_size == 0 and path.name == "__init__.py") or ast.get_docstring(tree(path))


LAZY = {"__getattr__", "__dir__"}


def code_in_init(module: ast.Module) -> Iterator[ast.stmt]:
    """Statements that are none of: docstring, import, `__all__`, the lazy table, `__getattr__`, `__dir__`."""
    for node in module.body:
        match node:
            case ast.Expr(value=ast.Constant(value=str())) | ast.Import() | ast.ImportFrom():
                continue
            case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=[]):
                if all(isinstance(child, ast.Import | ast.ImportFrom) for child in node.body):
                    continue
            case ast.FunctionDef(name=name) if name in LAZY:
                continue
            case ast.Assign(targets=[ast.Name()], value=ast.List() | ast.Tuple() | ast.Dict()):
                continue
            case ast.AnnAssign(target=ast.Name(), value=ast.List() | ast.Tuple() | ast.Dict()):
                continue
            case _:
                pass
        yield node


def test_an_init_file_holds_exports_and_no_code() -> None:
    found = [
        at(path, node)
        for path in python_files("src")
        if path.name == "__init__.py"
        for node in code_in_init(tree(path))
    ]
    nothing(found)


@pytest.mark.parametrize(
    "line", ["def f(): ...", "class A: ...", "x = f()", "if 1: import os", "print('hello')"]
)
def test_code_in_an_init_file_is_seen(line: str) -> None:
    assert list(code_in_init(ast.parse(f'"""A room."""\n{line}\n')))


def imports(module: ast.Module) -> Iterator[tuple[ast.stmt, str]]:
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node, "." * node.level + (node.module or "")


def test_no_module_imports_from_the_root_or_by_dots() -> None:
    found = [
        at(path, node)
        for path in python_files("src")
        for node, name in imports(tree(path))
        if name == "stretto" or name.startswith(".")
    ]
    nothing(found)


def late_imports_without_reason(text: str) -> Iterator[int]:
    """Lines with a bare noqa; the reason may also stand just above: in a comment, or behind a late import."""
    bare = re.compile(r"#\s*noqa: PLC0415[\s)]*$")
    explained = False
    for number, line in enumerate(text.splitlines(), 1):
        if bare.search(line) and not explained:
            yield number
        comment = line.lstrip().startswith("# ")
        explained = comment or ("PLC0415" in line and (explained or not bare.search(line)))


def test_a_late_import_says_why() -> None:
    """ruff's PLC0415 asks for the noqa; here the reason after it is asked for."""
    nothing(
        f"{shown(path)}:{number}"
        for path in python_files("src")
        for number in late_imports_without_reason(path.read_text("utf-8"))
    )
    text = "import a  # noqa: PLC0415\nimport b  # noqa: PLC0415 (why)\nimport c  # noqa: PLC0415\n"
    assert list(late_imports_without_reason(text)) == [1]


def test_no_lint_or_type_check_is_switched_off_for_a_file() -> None:
    blanket = re.compile(
        r"#\s*(ruff: noqa|type: ignore(?!\[)|pyright: (ignore(?!\[)|basic|strict=false)|noqa(?!:))"
    )
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in python_files("src")
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if blanket.search(line)
    ]
    nothing(found)


def runs_text(module: ast.Module) -> Iterator[ast.expr]:
    for node in ast.walk(module):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in {"eval", "exec"}
        ):
            yield node


def test_no_text_is_run_as_code() -> None:
    nothing(at(path, node) for path in python_files("src") for node in runs_text(tree(path)))
    assert list(runs_text(ast.parse("eval('1')")))


def names_of_the_project() -> set[str]:
    """The agents of the repository's own top-level folders."""
    folder = ROOT / "agents"
    return {path.name for path in folder.iterdir() if path.is_dir()} if folder.is_dir() else set()


def test_the_framework_names_nothing_of_the_reference_project() -> None:
    words = names_of_the_project() | {"support_desk", "fernhill"}
    found = [
        f"{path.relative_to(ROOT)}: {word}"
        for path in python_files("src")
        for word in words
        if word in path.read_text("utf-8").lower()
    ]
    nothing(found)


def tracked() -> list[Path]:
    result = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, timeout=30)
    if result.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in result.stdout.split("\0") if name and (ROOT / name).is_file()]


# Written in pieces, so that this file does not find itself.
MACHINE = re.compile(
    "|".join(
        ("/" + "work/", "/" + "root/", "/" + r"home/\w", "/" + "Users/", "py" + "pi.org", "python" + "hosted")
    )
)


def test_no_tracked_file_names_a_machine_or_a_package_registry() -> None:
    found: list[str] = []
    for path in tracked():
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        found += [
            f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
            for number, line in enumerate(text.splitlines(), 1)
            if MACHINE.search(line)
        ]
    nothing(found)


def test_nothing_large_or_private_is_tracked() -> None:
    paths = tracked()
    large = [
        f"{path.relative_to(ROOT)}: {path.stat().st_size}"
        for path in paths
        if path.stat().st_size > 1_000_000
    ]
    private = [path.name for path in paths if path.suffix in {".env", ".pem", ".key"} or path.name == ".env"]
    assert (large, private) == ([], [])


def test_each_room_has_tests() -> None:
    rooms = [
        path
        for path in (ROOT / "src" / "stretto").iterdir()
        if path.is_dir() and any(path.rglob("*.py")) and path.name != "__pycache__"
    ]
    found = [room.name for room in rooms if not any((ROOT / "tests" / room.name).rglob("test_*.py"))]
    nothing(found)


def test_each_test_folder_mirrors_a_room() -> None:
    """tests/a/ tests src/stretto/a/; the others are named here."""
    others = {
        "house",
        "docs",
        "faults",
        "agents",
        "scripts",
        "benchmarks",
        "evals",
        "tools",
        "no_network",
        "data",
        "root",
    }
    folders = {p.name for p in (ROOT / "tests").iterdir() if p.is_dir() and any(p.rglob("test_*.py"))}
    rooms = {p.name for p in (ROOT / "src" / "stretto").iterdir() if p.is_dir()}
    assert folders - others <= rooms
