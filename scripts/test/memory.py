"""What passed before, and need not run again while nothing has changed: no file of the checkout, no tool.

`make test ALL=1` runs everything, whatever passed before. A fresh clone remembers nothing.
"""

import hashlib
import json
import os
import subprocess

from environment import LOGS, ROOT
from part import Result

TOOLS = (["rustc", "-V"], ["go", "version"], ["cc", "--version"], ["python3", "--version"])


def state():
    """A hash of every file that git does not ignore, and of the tools' versions."""
    digest = hashlib.sha256()
    names = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT)
    for name in sorted(set(names.split(b"\0")) - {b""}):
        path = ROOT / os.fsdecode(name)
        if path.is_file():
            digest.update(name + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    for tool in TOOLS:
        digest.update(subprocess.run(tool, cwd=ROOT, capture_output=True).stdout)
    return digest.hexdigest()


def recall(part, now):
    """The part's result, when it passed in this very state; None: it has to run."""
    if part.builds or os.environ.get("ALL"):
        return None
    try:
        then = json.loads(file_of(part).read_text())
    except (OSError, ValueError):
        return None
    return Result(part, then["passed"], 0) if then.get("state") == now else None


def keep(result, now):
    """Remembers a part that passed."""
    if result.failed:
        file_of(result.part).unlink(missing_ok=True)
    else:
        file_of(result.part).write_text(json.dumps({"state": now, "passed": result.passed}))


def file_of(part):
    return LOGS / f"{part.name}.passed"
