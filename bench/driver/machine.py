"""What the figures were measured on."""

import os
import platform
import subprocess
from pathlib import Path

CLOCKSOURCE = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")


def describe():
    """The machine, and how busy it was just before."""
    return {
        "cpu": cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "clocksource": text(CLOCKSOURCE),
        "load_before": os.getloadavg()[0],
        "rustc": first_line(["rustc", "--version"]),
        "cc": first_line(["cc", "--version"]),
        "go": first_line(["go", "version"]),
    }


def cpu():
    names = [line.split(":", 1)[1].strip() for line in text(Path("/proc/cpuinfo")).splitlines() if line.startswith("model name")]
    return names[0] if names else platform.machine()


def text(path):
    try:
        return path.read_text().strip()
    except OSError:
        return "unknown"


def first_line(command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return "unknown"
