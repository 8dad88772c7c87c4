"""One child process: started in its own group, its words in a file, stopped for certain.

A child writes straight to its log file and not into a pipe: a terminal that is stopped or closed can then never
stall a robot. Its death signal follows the parent's, so that no orphan goes on commanding an arm.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vla_mbpo_ros.errors import GraphError

# Runs `argv[2:]`, which is told to end in order as soon as its parent, process `argv[1]`, is gone. A program of its
# own and not a `preexec_fn`: the middleware has threads, and Python code between fork and exec may wait for ever for
# a lock that one of them held.
_END_WITH_PARENT = f"""
import ctypes, os, sys
PR_SET_PDEATHSIG = 1
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, {int(signal.SIGTERM)}, 0, 0, 0)
if os.getppid() != int(sys.argv[1]):  # it died before we could ask
    sys.exit(1)
os.execvp(sys.argv[2], sys.argv[2:])
"""
_READ_AT_ONCE = 65536  # bytes of log taken at one look, so that a flood does not stop the watching


@dataclass(frozen=True)
class ChildSpec:
    """What to start. `environment` is whole, not an addition."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    respawn: bool = True
    required: bool = True


class Child:
    """A running process of a `ChildSpec`."""

    def __init__(self, spec: ChildSpec, log: Path) -> None:
        self.spec = spec
        self.log = log
        self._partial = b""
        self._read_from = log.stat().st_size if log.exists() else 0
        if shutil.which(spec.command[0], path=spec.environment.get("PATH")) is None:
            cause = f"{spec.name} cannot be started: there is no program {spec.command[0]}."
            raise GraphError(cause, "Check the installation.")
        with log.open("ab") as words:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _END_WITH_PARENT, str(os.getpid()), *spec.command],
                env=dict(spec.environment),
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches the parent only, which then stops all in order
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def exit_code(self) -> int | None:
        """None while it runs; negative: killed by that signal. What it leaves behind in its group ends with it."""
        if self._process.returncode is None:
            look = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if look is None:
                return None
            self.signal(signal.SIGKILL)  # before it is reaped: until then nobody else can have its number
        return self._process.wait()

    def new_lines(self) -> list[str]:
        """What it has written since the last look."""
        with self.log.open("rb") as words:
            words.seek(self._read_from)
            data = words.read(_READ_AT_ONCE)
        self._read_from += len(data)
        *lines, self._partial = (self._partial + data).split(b"\n")
        if len(self._partial) > _READ_AT_ONCE:  # a program that never ends its line
            lines, self._partial = [*lines, self._partial], b""
        return [line.decode("utf-8", "replace") for line in lines]

    def signal(self, number: signal.Signals) -> None:
        """Send to its whole group."""
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):  # gone already
            return


def exit_text(code: int) -> str:
    """An exit code for people."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"


Echo = Callable[[str, str], None]  # (name of the child, one line of its log)
