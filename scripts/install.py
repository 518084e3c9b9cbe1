"""Sets up `.venv` with Stretto and the extras asked for; at once when that is already done.

Runs before anything is installed, on the Python that the machine has, so it uses the standard library only
and no syntax newer than 3.6: an old Python is to get a sentence, not a SyntaxError.

    python3 scripts/install.py local        what `make demo` needs
    python3 scripts/install.py local dev    what `make test` and `make check` need
"""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOG = VENV / "install.log"
OLDEST = (3, 11)


def say(text):
    """Prints at once."""
    print(text, flush=True)


def stamp(extra):
    """The file that says: this extra is installed, for these dependencies, this folder and this Python."""
    parts = [(ROOT / name).read_bytes() for name in ("pyproject.toml", "setup.py") if (ROOT / name).is_file()]
    parts += [str(ROOT).encode(), sys.version.encode()]
    digest = hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
    return VENV / f".installed-{extra}-{digest}"


def progress(line):
    """What a line of pip's output means, in a few words; empty for lines that nobody needs."""
    words = line.split()
    if words[:1] == ["Collecting"]:
        return f"finding {words[1]}"
    if words[:1] == ["Downloading"]:
        return "downloading " + words[1].rsplit("/", 1)[-1].split("-")[0]
    if line.startswith("Installing collected packages"):
        packages = line.count(",") + 1
        return f"installing {packages} packages"
    return ""


def show(text, started, shown):
    """One line that changes on a terminal; elsewhere one line every 15 s. Returns when it last wrote."""
    now = time.time()
    if sys.stdout.isatty():
        sys.stdout.write(f"\r\033[K  {now - started:3.0f} s  {text[:60]}")
        sys.stdout.flush()
    elif now - shown > 15 or text.startswith("installing"):
        say(f"  {now - started:3.0f} s  {text}")
        return now
    return shown


def pip(*arguments):
    """Runs pip, its output in the log, what it is at on the screen."""
    started = shown = time.time()
    command = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check"]
    command += ["--no-input", "--no-compile", "--progress-bar", "off", *arguments]
    with LOG.open("w") as log:
        child = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for line in child.stdout:
            log.write(line)
            text = progress(line.strip())
            if text:
                shown = show(text, started, shown)
    if sys.stdout.isatty():
        sys.stdout.write("\r\033[K")
    if child.wait():
        tail = "\n".join(LOG.read_text().splitlines()[-12:])
        sys.exit(f"{tail}\n\nThe packages could not be installed; all that pip said is in .venv/install.log.")
    say(f"  done in {time.time() - started:.0f} s")


def make_environment():
    """Makes `.venv`, unless there is one of this Python in this folder (its scripts know where they are)."""
    python, home = VENV / "bin" / "python", VENV / ".made-in"
    moved = home.exists() and home.read_text() != str(ROOT)
    if python.exists() and not moved:
        command = [str(python), "-c", "import sys, pip; print(sys.version)"]
        version = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        if version.returncode == 0 and version.stdout.strip() == sys.version:
            return
    if VENV.exists():
        say("The environment in .venv belongs to another Python or folder: it is made anew.")
    if subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)]).returncode:
        sys.exit(
            f"`{sys.executable} -m venv` failed. On Debian and Ubuntu its package is called python3-venv; "
            "with another Python: make PYTHON=python3.12 ..."
        )
    home.write_text(str(ROOT))


def main():
    """Does what is still to do."""
    if sys.version_info < OLDEST:
        sys.exit(
            f"Stretto needs Python 3.11 or newer, and {sys.executable} is {sys.version.split()[0]}. "
            "With another one: make PYTHON=python3.12 ..."
        )
    extras = sorted(sys.argv[1:])
    if all(stamp(extra).exists() for extra in extras):
        return
    say(f"Setting up .venv with the extras {' and '.join(extras)}: once, one to two minutes.")
    make_environment()
    pip("-e", f".[{','.join(extras)}]")
    for extra in extras:
        stamp(extra).touch()


if __name__ == "__main__":
    os.environ.pop("PIP_REQUIRE_VIRTUALENV", None)
    main()
