"""Asks for known vulnerabilities of every pinned package, and fails unless every single one was looked up.

A package that an audit skips looks exactly like a package without findings; so the number is asserted.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FILES = ("requirements.txt", "requirements-dev.txt")


def main() -> int:
    """Audit both files; 1 when something is vulnerable, was skipped or was not counted."""
    problems: list[str] = []
    for name in FILES:
        wanted = pinned((ROOT / name).read_text(encoding="utf-8"))
        report, error = _audit(ROOT / name)
        if report is None:
            problems.append(f"{name}: pip-audit gave no report: {error}")
            continue
        found = judge(name, wanted, report)
        problems += found
        if not found:
            print(f"{name}: {len(wanted)} packages looked up, none has a known vulnerability")
    print("\n".join(problems), file=sys.stderr)
    return int(bool(problems))


def pinned(text: str) -> set[str]:
    """Return the normalised names of the packages that a requirements file pins for this system."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    lines = [re.sub(r"\s*\\$", "", line) for line in text.splitlines() if re.match(r"[A-Za-z0-9]", line)]
    requirements = [Requirement(line) for line in lines]
    return {canonicalize_name(item.name) for item in requirements if item.marker is None or item.marker.evaluate()}


def judge(name: str, wanted: set[str], report: dict[str, Any]) -> list[str]:
    """Return what is wrong with an audit: packages skipped or not looked up, and vulnerabilities."""
    from packaging.utils import canonicalize_name

    packages = report.get("dependencies", [])
    skipped = {canonicalize_name(item["name"]) for item in packages if "skip_reason" in item}
    looked_up = {canonicalize_name(item["name"]) for item in packages} - skipped
    if wanted and not looked_up:
        reason = next((item["skip_reason"] for item in packages if "skip_reason" in item), "the report is empty")
        return [f"{name}: none of the {len(wanted)} packages could be looked up, for example: {reason}"]
    problems = [f"{name}: {package} was not looked up" for package in sorted(wanted - looked_up)]
    if len(looked_up) != len(wanted):
        problems.append(f"{name}: {len(looked_up)} packages were looked up instead of {len(wanted)}")
    for item in packages:
        for flaw in item.get("vulns", []):
            fixed = ", ".join(flaw.get("fix_versions") or ["no version yet"])
            problems.append(f"{name}: {item['name']} {item['version']} has {flaw['id']}, fixed in {fixed}")
    return problems


def _audit(path: Path) -> tuple[dict[str, Any] | None, str]:
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(path), "--require-hashes", "--disable-pip"]
    done = subprocess.run([*command, "--format", "json"], capture_output=True, text=True, check=False)
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        return None, done.stderr.strip()
    return report, ""


if __name__ == "__main__":
    sys.exit(main())
