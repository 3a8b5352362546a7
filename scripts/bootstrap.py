"""Makes the virtual environment, and installs into it only when the pinned requirements have changed.

Runs on the system's Python with nothing installed: `python3 scripts/bootstrap.py [--dev]`.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"


def main(arguments: list[str]) -> int:
    """Bring the environment up to date; 1 and a sentence when that is impossible."""
    if sys.version_info < (3, 11):  # noqa: UP036  # run by whatever Python the system has
        return _give_up(
            "Python 3.11 or newer is needed.", "Install it, or name it: make run PYTHON=/path/to/python3.12"
        )
    files = ["requirements.txt", *(["requirements-dev.txt"] if "--dev" in arguments else [])]
    if not _works() and not _make_environment():
        cure = "On Debian and Ubuntu: apt-get install python3-venv. Then run the same command again."
        return _give_up("The virtual environment .venv could not be made.", cure)
    for name in files:
        if not _install(ROOT / name):
            cure = "See the lines above; installing needs access to a package index once."
            return _give_up(f"{name} could not be installed.", cure)
    return 0


def _works() -> bool:
    if not PYTHON.exists():
        return False
    check = [str(PYTHON), "-c", "import sys, pip; sys.exit(sys.version_info < (3, 11))"]
    return subprocess.run(check, capture_output=True, check=False).returncode == 0


def _make_environment() -> bool:
    print(f"Making the virtual environment .venv with Python {sys.version.split()[0]} …", flush=True)
    shutil.rmtree(VENV, ignore_errors=True)
    return subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=False).returncode == 0


def _install(requirements: Path) -> bool:
    stamp = VENV / f".installed-{requirements.stem}"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return True
    print(f"Installing {requirements.name} (about a minute the first time) …", flush=True)
    command = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    done = subprocess.run([*command, "--require-hashes", "-r", str(requirements)], cwd=ROOT, check=False)
    if done.returncode == 0:
        stamp.write_text(digest)
    return done.returncode == 0


def _give_up(problem: str, cure: str) -> int:
    print(f"{problem}\n{cure}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
