"""Builds the three programs and the policy that they load."""

import hashlib
import os
import shutil
import subprocess
import time


class Missing(Exception):
    """Something is not there, or does not build."""


def all_programs(root, out, prefix):
    """Builds everything; answers with the command line of each program, by language."""
    environment = with_library(prefix)
    rust = build_rust(root)
    guest = out / "guest.wasm"
    step("writing the policy", [str(rust), "--write-guest", str(guest)], root)
    c, go = build_c(root, out, environment), build_go(root, out, environment)
    files = [str(root / "bench/rules.json"), str(guest)]
    return {"rust": [str(rust), *files], "c": [str(c), *files], "go": [str(go), *files]}


def with_library(prefix):
    """The environment in which pkg-config finds the library installed under prefix."""
    found = next(prefix.glob("lib*/pkgconfig/tidegate.pc"), None)
    if found is None:
        raise Missing(f"no tidegate.pc under {prefix}: run `make install PREFIX={prefix}` first")
    for tool in ("cargo", "cc", "go", "pkg-config"):
        if shutil.which(tool) is None:
            raise Missing(f"{tool} is not installed")
    library = str(found.parent.parent)
    os.environ["LD_LIBRARY_PATH"] = joined(library, os.environ.get("LD_LIBRARY_PATH"))
    path = joined(str(found.parent), os.environ.get("PKG_CONFIG_PATH"))
    return {**os.environ, "PKG_CONFIG_PATH": path, **cgo_flags(prefix, library)}


def cgo_flags(prefix, library):
    """Go's build cache knows these flags, but neither what pkg-config says nor the header: without them it may hand out
    a binding that was built for another library."""
    header = prefix / "include/tidegate.h"
    digest = hashlib.sha256(header.read_bytes()).hexdigest()[:16]
    return {"CGO_CFLAGS": f"-O2 -g -DBENCH_HEADER_{digest}", "CGO_LDFLAGS": f"-O2 -g -L{library}"}


def joined(first, rest):
    return f"{first}:{rest}" if rest else first


def build_rust(root):
    step("building the Rust program", ["cargo", "build", "--release", "--locked", "-p", "tidegate-bench"], root)
    target = root / os.environ.get("CARGO_TARGET_DIR", "target")
    return target / "release/tidegate-bench"


def build_c(root, out, environment):
    flags = ["pkg-config", "--cflags", "--libs", "tidegate"]
    found = subprocess.run(flags, env=environment, capture_output=True, text=True, check=True).stdout.split()
    sources = ["bench/c/main.c", "bench/c/measure.c"]
    program = out / "bench-c"
    compiler = ["cc", "-std=c11", "-O2", "-Wall", "-o", str(program), *sources, *found, "-pthread"]
    step("building the C program", compiler, root, environment)
    return program


def build_go(root, out, environment):
    program = out / "bench-go"
    step("building the Go program", ["go", "build", "-o", str(program), "."], root / "bench/go", environment)
    return program


def step(what, command, directory, environment=None):
    """Runs one command, shows what it does and how long it took, and its output only if it fails."""
    print(f"bench: {what} ...", end=" ", flush=True)
    start = time.monotonic()
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        print("failed")
        raise Missing(f"{what}: {' '.join(command)}\n{done.stdout}{done.stderr}")
    print(f"{time.monotonic() - start:.0f} s")
