"""Rounds of measurements that alternate between the programs, so that a change of the machine's speed hits all alike."""

import json
import subprocess
import sys
import time
from collections import defaultdict

WORKS = ["between_work", "clock_pair", "atomic_add", "counter", "counter_apart", "histogram", "histogram_apart", "guard",
         "token_bucket", "limiter_allow", "limiter_wait", "limiter_reserve", "breaker", "policy_call", "guard_policy"]
THREADS = (1, 2)
# A round goes through all measurements so often, and the fastest time of each counts: whatever else a machine or its host
# does only ever takes time.
SLICES = 5
BETWEEN = (0, 1)


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


def rounds(commands, count, milliseconds):
    """Answers with {(work, who, threads, between): [ns, ...]}, and the Rust program's figures of the segment."""
    samples, segment = defaultdict(list), None
    for number in range(count):
        programs = [Program(language, command) for language, command in commands.items()]
        segment = segment or json.loads(programs[0].ask("segment"))
        one_round(programs, samples, milliseconds, number, count)
        for program in programs:
            program.end()
    return samples, segment


def one_round(programs, samples, milliseconds, number, count):
    """Every measurement once, in slices: the same work by all, one after the other; every second slice backwards."""
    plan, fastest = in_order(programs), {}
    start = time.monotonic()
    for slice_number in range(SLICES):
        for done, (program, index, *what) in enumerate(plan, slice_number * len(plan) + 1):
            answer = program.ask(f"run {index} {what[2]} {what[3]} {max(1, milliseconds // SLICES)}")
            fastest[tuple(what)] = min(float(answer), fastest.get(tuple(what), float("inf")))
            progress(number, count, done, SLICES * len(plan), start)
        plan.reverse()
    for what, ns in fastest.items():
        samples[what].append(ns)


def in_order(programs):
    cases = [(program, index, case["work"], case["who"]) for program in programs for index, case in enumerate(program.cases)]
    cases.sort(key=lambda case: WORKS.index(case[2]))
    return [(*case, threads, between) for work in WORKS for threads in THREADS for between in BETWEEN
            for case in cases if case[2] == work]


def progress(number, count, done, of, start):
    """A line that is written over on a terminal; elsewhere one line a round."""
    line = f"bench: round {number + 1} of {count}: {done:3} of {of} measurements, {time.monotonic() - start:.1f} s"
    if sys.stdout.isatty():
        print("\r" + line, end="\n" if done == of else "", flush=True)
    elif done == of:
        print(line, flush=True)
