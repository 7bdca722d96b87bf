"""One part of the tests: a shell script, run with its output in a log."""

import os
import signal
import subprocess
from dataclasses import dataclass
from typing import Callable

import counting
from environment import LOGS, ROOT


@dataclass(frozen=True)
class Part:
    name: str
    title: str
    # What `sh -eu` runs; a function where it depends on what earlier parts built.
    script: str | Callable[[], str]
    count: Callable[[str], tuple[int, int]] = counting.nothing
    # Others need what it builds, so that it runs whatever was asked for.
    builds: bool = False
    # What it tests; where that is not there, nor is the part.
    needs: str = "."
    # Lines of its output that begin so are worth showing.
    tells: tuple[str, ...] = ()
    # It keeps one processor busy for long, so the next part runs at the same time.
    beside_next: bool = False

    @property
    def log(self):
        return LOGS / f"{self.name}.log"

    def is_here(self):
        return (ROOT / self.needs).exists()

    def begin(self):
        """Starts it; None where that cannot be."""
        with self.log.open("wb") as log:
            try:
                script = self.script() if callable(self.script) else self.script
            except OSError as error:
                log.write(f"{error}\n".encode())
                return None
            return subprocess.Popen(["sh", "-eu", "-c", script], stdin=subprocess.DEVNULL, stdout=log,
                                    stderr=subprocess.STDOUT, start_new_session=True)

    def finish(self, process, tick):
        """Waits for its end; tick() is called now and then."""
        if process is None:
            return Result(self, 0, 1)
        status = wait(process, tick)
        return Result(self, *counting.verdict(self.count, self.output(), status))

    def output(self):
        return self.log.read_text(errors="replace")


def wait(process, tick):
    try:
        while True:
            try:
                return process.wait(timeout=1)
            except subprocess.TimeoutExpired:
                tick()
    except BaseException:
        stop(process)
        raise


def stop(process):
    if process and process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)


@dataclass(frozen=True)
class Result:
    part: Part
    passed: int
    failed: int
