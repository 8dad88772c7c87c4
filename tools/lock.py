"""Writes constraints.txt anew: the exact versions that `make setup` installs, for every Python given.

    .venv/bin/python tools/lock.py python3.10 python3.11 python3.12 python3.13

pip itself resolves, once for each Python and without installing anything; where the results differ, a line gets a
marker. Run the tests on each Python before you keep the result.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = """\
# The exact versions that this project is tested with, on CPython 3.10 to 3.13. Made by tools/lock.py.
# Not here, on purpose: torch and anything for CUDA; PyPI's `launch` and `cv-bridge`, which are not ROS 2's.
"""
EXTRAS = ("ros", "dev", "formats", "learn")


def requirements() -> list[str]:
    """All that any of our set-ups installs: to run, to develop, to generate messages, and colcon."""
    import tomllib  # Python 3.11; imported here so that the file can be checked with 3.10

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"]]
    for extra in EXTRAS:
        lines += project["optional-dependencies"][extra]
    for name in ("requirements-build.txt", "requirements-colcon.txt"):
        lines += (ROOT / "tools" / name).read_text().splitlines()
    # Which torch is right depends on the machine.
    return [line for line in lines if line and not line.startswith(("#", "torch"))]


def resolve(python: str, wanted: list[str]) -> tuple[str, dict[str, str]]:
    """The "3.x" of an interpreter, and the version of each package that pip would install into an empty venv of it."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    short = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([python, "-m", "venv", folder], check=True)
        pip = [f"{folder}/bin/python", "-m", "pip", "--quiet"]
        # Old resolvers need minutes for what new ones do in seconds.
        subprocess.run([*pip, "install", "--upgrade", "pip"], check=True)
        report = Path(folder, "report.json")
        command = [*pip, "install", "--dry-run", "--ignore-installed", "--report", str(report), *wanted]
        subprocess.run(command, check=True)
        rows = json.loads(report.read_text())["install"]
    names = {row["metadata"]["name"].lower().replace("_", "-"): row["metadata"]["version"] for row in rows}
    return short, names


def merge(found: dict[str, dict[str, str]]) -> list[str]:
    """One line where all agree, else one for each version, with the Pythons that it is for."""
    lines = []
    for name in sorted({name for names in found.values() for name in names}):
        pythons: dict[str, list[str]] = {}
        for short, names in found.items():
            if name in names:
                pythons.setdefault(names[name], []).append(short)
        if len(pythons) == 1:
            lines.append(f"{name}=={next(iter(pythons))}")
            continue
        for version, shorts in pythons.items():
            marker = " or ".join(f'python_version == "{short}"' for short in shorts)
            lines.append(f"{name}=={version} ; {marker}")
    return lines


def main(pythons: list[str]) -> int:
    if not pythons:
        print(__doc__)
        return 2
    wanted = requirements()
    found = {}
    for python in pythons:
        print(f"Resolving for {python} ...")
        short, names = resolve(python, wanted)
        found[short] = names
    (ROOT / "constraints.txt").write_text(HEADER + "\n".join(merge(found)) + "\n")
    print(f"Wrote {ROOT / 'constraints.txt'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
