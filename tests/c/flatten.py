#!/usr/bin/env python3
"""Writes the vectors under a folder as lines that vectors.c reads: one step a line, fields parted by tabs."""

import json
import sys
from pathlib import Path

OUTCOMES = ["success", "failure", "timeout", "overloaded", "cancelled", "ignored"]
STAGES = ["none", "deadline", "fault", "breaker", "throttle", "policy", "system", "concurrency", "rate"]
CRITICALITIES = ["default", "critical", "sheddable"]
# vectors.c reads at most 64 fields a line.
MOST_VALUES = 50
FIELDS = {"at_ns", "op", "comment", "guard", "as", "permit", "cost", "key", "timeout_ns", "retry_after_ns", "outcome",
          "rules", "breaker", "inflight", "limit", "calls", "histogram", "values", "q", "rel", "counter", "labels",
          "n", "value", "expect", "state", "name", "max_requests", "interval_ns",
          "bucket_period_ns", "refused_by", "ticket", "ending", "counts", "wait_ns",
          "limiter", "reservation", "algorithm", "rate", "per_ns", "burst", "max_wait_ns", "buckets", "warm_up_ns",
          "cold_factor", "tokens", "criticality", "level", "cpu", "memory", "shadow_rejected", "reason", "attributes", "once",
          "retry", "hedge", "retries", "hedges", "budget_left", "rejected", "names"}


def line(*fields):
    texts = ["-" if field is None else str(field) for field in fields]
    if any(c in text for text in texts for c in "\t\n"):
        raise ValueError(f"a field holds a tab or a line's end: {texts}")
    print("\t".join(texts))


def compact(document):
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def enter(s):
    attributes = [part for attribute in s.get("attributes", {}).items() for part in attribute]
    # What it says holds for the next enter alone.
    if s.keys() & {"criticality", "level"}:
        line("matters", CRITICALITIES.index(s.get("criticality", "default")), s.get("level"))
    line("enter", s["guard"], s.get("as"), s.get("cost"), s.get("timeout_ns"), s.get("key"), s.get("expect"),
         s.get("retry_after_ns"), s.get("wait_ns"), s.get("reason"), *attributes)


def begin(s):
    line(s["op"], s["guard"], s["as"], s.get("timeout_ns"), s.get("criticality"), int(s.get("once", False)))


def stats(s):
    calls = [s.get("calls", {}).get(outcome) for outcome in OUTCOMES]
    rejected = [s.get("rejected", {}).get(stage) for stage in STAGES[1:]]
    line("stats", s["guard"], s.get("breaker"), s.get("inflight"), s.get("limit"), *calls, s.get("budget_left"),
         s.get("retries"), s.get("hedges"), *rejected)
    if "shadow_rejected" in s:
        line("shadow_rejected", s["guard"], *[s["shadow_rejected"].get(stage) for stage in STAGES])


def count(s):
    labels = [part for label in s.get("labels", {}).items() for part in label]
    line("count", s["counter"], s["n"], s.get("value"), *labels)


def record(s):
    for start in range(0, len(s["values"]), MOST_VALUES):
        line("record", s["histogram"], *s["values"][start:start + MOST_VALUES])


def limiter(s):
    line(s["op"], s["limiter"], s.get("algorithm"), s.get("rate"), s.get("per_ns"), s.get("burst"), s.get("max_wait_ns"),
         s.get("warm_up_ns"), s.get("cold_factor"), s.get("buckets"), s.get("expect"))


OPS = {
    "limiter": limiter,
    "set_limiter": limiter,
    "take": lambda s: line("take", s["limiter"], s.get("cost", 1), s.get("expect"), s.get("wait_ns")),
    "reserve": lambda s: line("reserve", s["limiter"], s["as"], s.get("cost", 1), s.get("max_wait_ns"), s.get("expect"),
                              s.get("wait_ns")),
    "cancel": lambda s: line("cancel", s["limiter"], s["reservation"], s.get("expect")),
    "tokens": lambda s: line("tokens", s["limiter"], s["tokens"]),
    "enter": enter,
    "exit": lambda s: line("exit", s["permit"], s["outcome"], s.get("expect")),
    "rules": lambda s: line("rules", compact(s["rules"]), s.get("expect")),
    "stats": stats,
    "hottest": lambda s: line("hottest", s["guard"], s["rate"], s.get("expect"), *s.get("names", [])),
    "record": record,
    "quantile": lambda s: line("quantile", s["histogram"], s["q"], s["expect"], s.get("rel")),
    "count": count,
    "breaker": lambda s: line("breaker", s["name"], s.get("max_requests"), s.get("interval_ns"),
                              s.get("bucket_period_ns"), s.get("timeout_ns"), s.get("expect")),
    "ask": lambda s: line("ask", s["name"], s.get("as"), s.get("expect"), s.get("refused_by")),
    "end": lambda s: line("ended", s["name"], s["ticket"], s["ending"], s.get("expect")),
    "trip": lambda s: line("trip", s["name"]),
    "counts": lambda s: line("counts", s["name"], s.get("state"), *s.get("counts", [])),
    "load": lambda s: line("load", s.get("cpu", 0), s.get("memory", 0)),
    "retry": begin,
    "retry_next": lambda s: line("retry_next", s["retry"], s["outcome"], s.get("retry_after_ns"), s.get("expect"),
                                 s.get("wait_ns")),
    "retry_abandon": lambda s: line("retry_abandon", s["retry"]),
    "hedge": begin,
    "hedge_next": lambda s: line("hedge_next", s["hedge"], s.get("expect"), s.get("wait_ns")),
    "hedge_end": lambda s: line("hedge_end", s["hedge"], s["outcome"]),
    "set_breaker": lambda s: line("set_breaker", s["guard"], s["state"], s.get("expect")),
}


def flatten(path, root):
    vector = json.loads(path.read_text())
    line("open", path.relative_to(root), vector.get("start_ns", 0), int(vector.get("faults", False)))
    if "rules" in vector:
        line("rules", compact(vector["rules"]), "TG_OK")
    for guard in vector.get("guards", []):
        line("guard", guard)
    for number, step in enumerate(vector["steps"]):
        unknown = step.keys() - FIELDS
        if unknown:
            raise ValueError(f"{path}: step {number}: unknown {unknown}")
        line("step", number)
        if "at_ns" in step:
            line("at", step["at_ns"])
        OPS[step["op"]](step)
    line("end")


def main():
    root = Path(sys.argv[1])
    for path in sorted(root.rglob("*.json")):
        flatten(path, root)


if __name__ == "__main__":
    main()
