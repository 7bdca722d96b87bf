"""Shows what runs: one line a part, and of a failed one the end of its log."""

import sys
import time

import counting
from environment import ROOT

ON_TERMINAL = sys.stdout.isatty()
WIDTH = 100
LAST_LINES = 40


def show(part, number, of, begun=None):
    """Runs a part, or waits for one that was begun (a process, and when), and shows it."""
    head = f"[{number:2}/{of}] {part.title}"
    print(f"{head} ...", end="" if not ON_TERMINAL else "\r", flush=True)
    process, start = begun or (part.begin(), time.monotonic())

    def tick():
        if ON_TERMINAL:
            elapsed = f"{time.monotonic() - start:4.0f} s  "
            print("\r\033[K" + f"{head} ... {elapsed}{last_line(part)}"[:WIDTH], end="", flush=True)

    result = part.finish(process, tick)
    counts = f"{result.passed} passed" + (f", {result.failed} FAILED" if result.failed else "")
    print((f"\r\033[K{head} ..." if ON_TERMINAL else "") + f" {counts} ({time.monotonic() - start:.0f} s)", flush=True)
    for line in part.output().splitlines():
        if line.startswith(part.tells):
            print("       " + line)
    if result.failed:
        print(indented(told(part)) + f"\n       all of it: {shown(part.log)}")
    return result


def shown(path):
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def last_line(part):
    lines = part.output()[-2000:].strip().splitlines()
    return lines[-1] if lines else ""


def told(part):
    """What is worth reading of a failed part's log."""
    output = part.output()
    if part.count is counting.go:
        output = go_failures(output)
    if part.count is counting.ours:
        output = "".join(line for line in output.splitlines(keepends=True) if not line.startswith(("ok ", *part.tells)))
    return "\n".join(output.strip().splitlines()[-LAST_LINES:])


def go_failures(output):
    """What the failed tests said, out of the events; and all that is none, such as a compiler's errors."""
    events = list(counting.go_events(output))
    failed = {event["Test"] for event in events if event["Action"] == "fail" and "Test" in event}
    said = [event["Output"] for event in events if event["Action"] in ("output", "build-output")
            and (event.get("Test") in failed or event["Action"] == "build-output")]
    plain = [line + "\n" for line in output.splitlines() if not line.startswith("{")]
    return "".join(plain + said)


def indented(text):
    return "\n".join("       " + line for line in text.splitlines())
