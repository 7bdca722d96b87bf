"""Rounds of measurements that alternate between the programs, so that a change of the machine's speed hits all alike."""

import json
import subprocess
import sys
import time
from collections import defaultdict
from typing import NamedTuple

GENERAL = ["between_work", "clock_pair", "atomic_add", "counter", "counter_apart", "histogram", "histogram_apart", "guard",
           "guard_everything", "policy_call", "guard_policy"]
DISCIPLINES = ["limiter_allow", "limiter_wait", "limiter_reserve", "pacing", "fixed_window", "sliding_counter",
               "sliding_window", "warm_up", "token_bucket", "follow", "keyed", "breaker", "breaker_counted", "breaker_slow",
               "breaker_count", "throttle", "concurrency", "aimd", "vegas", "gradient2", "shed", "system", "deadline",
               "fault", "retry", "retry_decision", "retry_budget", "hedge"]
# Keys of each.
KEYED = {"keyed_1e3": 1_000, "keyed_1e6": 1_000_000, "keyed_1e7": 10_000_000}
WORKS = [*GENERAL, *DISCIPLINES, *KEYED]
# Those that are also measured with other work between the calls; for all it would take too long.
WITH_WORK = {*GENERAL, "limiter_allow", "limiter_wait", "limiter_reserve", "token_bucket", "breaker"}
THREADS = (1, 2)


class Effort(NamedTuple):
    """How much is measured. A round goes through all measurements once for each slice, and the fastest time of each counts:
    whatever else a machine or its host does only ever takes time."""

    rounds: int
    slices: int
    ms: int


class Failed(Exception):
    """A program ended, or answered with nonsense."""


class Program:
    """One running program, asked by lines on its standard input."""

    def __init__(self, language, command):
        self.language = language
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.cases = json.loads(self.ask("list"))

    def ask(self, line):
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise Failed(f"the {self.language} program ended when asked: {line}")
        return answer

    def end(self):
        self.process.stdin.close()
        if self.process.wait() != 0:
            raise Failed(f"the {self.language} program ended with {self.process.returncode}")


def rounds(commands, effort):
    """Answers with {(work, who, threads, between): [ns, ...]}, and the Rust program's figures of the segment."""
    samples, segment = defaultdict(list), None
    for number in range(effort.rounds):
        programs = [Program(language, command) for language, command in commands.items()]
        segment = segment or json.loads(programs[0].ask("segment"))
        one_round(programs, samples, effort, f"round {number + 1} of {effort.rounds}")
        for program in programs:
            program.end()
    return samples, segment


def keyed(program, works, effort):
    """The limits by key, all of one size in a process of its own: filling the larger ones takes seconds, so each is filled
    once. Answers with samples as above, and the bytes a key, {work: {who: bytes}}."""
    samples, sizes = defaultdict(list), {}
    for work in works:
        print(f"bench: filling limits with {KEYED[work]:,} keys", flush=True)
        filled = Program("Rust", [program, "--keyed", str(KEYED[work])])
        sizes[work] = json.loads(filled.ask("segment"))
        for number in range(effort.rounds):
            one_round([filled], samples, effort, f"{work}, round {number + 1} of {effort.rounds}")
        filled.end()
    return samples, sizes


def one_round(programs, samples, effort, name):
    """Every measurement once, in slices: the same work by all, one after the other; every second slice backwards."""
    plan, fastest = in_order(programs), {}
    start = time.monotonic()
    for slice_number in range(effort.slices):
        for done, (program, index, *what) in enumerate(plan, slice_number * len(plan) + 1):
            answer = program.ask(f"run {index} {what[2]} {what[3]} {effort.ms}")
            fastest[tuple(what)] = min(float(answer), fastest.get(tuple(what), float("inf")))
            progress(name, done, effort.slices * len(plan), start)
        plan.reverse()
    for what, ns in fastest.items():
        samples[what].append(ns)


def in_order(programs):
    cases = [(program, index, case["work"], case["who"]) for program in programs for index, case in enumerate(program.cases)]
    cases.sort(key=lambda case: WORKS.index(case[2]))
    return [(*case, threads, between) for work in WORKS for threads in THREADS
            for between in ((0, 1) if work in WITH_WORK else (0,)) for case in cases if case[2] == work]


def progress(name, done, of, start):
    """A line that is written over on a terminal; elsewhere one line a round."""
    line = f"bench: {name}: {done:4} of {of} measurements, {time.monotonic() - start:.1f} s"
    if sys.stdout.isatty():
        print("\r" + line, end="\n" if done == of else "", flush=True)
    elif done == of:
        print(line, flush=True)
