"""Where things are, and what the parts find in their environment."""

import hashlib
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
PREFIX = TARGET / "prefix"
SMALL = TARGET / "small"
LOGS = TARGET / "test-logs"
OUT = TARGET / "tests"


def prepare():
    """The environment of every part: the library in PREFIX is found, by pkg-config and when programs start."""
    LOGS.mkdir(parents=True, exist_ok=True)
    OUT.mkdir(parents=True, exist_ok=True)
    os.chdir(ROOT)
    os.environ.update(
        CARGO_TERM_COLOR="never",
        PYTHONDONTWRITEBYTECODE="1",
        PKG_CONFIG_PATH=joined(PREFIX / "lib/pkgconfig", "PKG_CONFIG_PATH"),
        LD_LIBRARY_PATH=joined(PREFIX / "lib", "LD_LIBRARY_PATH"),
        PATH=joined(ROOT / "target/tools/bin", "PATH"),
    )


def joined(first, variable):
    rest = os.environ.get(variable)
    return f"{first}:{rest}" if rest else str(first)


def for_cgo():
    """Go's build cache knows these flags, but not what the header holds: it might hand out a stale binding."""
    header = (PREFIX / "include/tidegate.h").read_bytes()
    return f"CGO_CFLAGS='-O2 -g -DTIDEGATE_HEADER_{hashlib.sha256(header).hexdigest()[:16]}'"
