"""From samples to target/bench/summary.json."""

import json
from statistics import median

# What each program calls its between_work, by the last part of `who`.
GO = {"tidegate-go", "tidegate-go shared", "tidegate-gobreaker", "composed-go", "golang.org/x/time/rate", "golang.org/x/sync",
      "sony/gobreaker v2", "alibaba/sentinel-golang", "failsafe-go", "go-concurrency-limits", "go-kratos/aegis", "uber-go/ratelimit",
      "ulule/limiter", "RussellLuo/slidingwindow", "cenkalti/backoff",
      "prometheus client_golang", "go.opentelemetry.io/otel"}
LANGUAGE = {"tidegate-c": "c", **{who: "go" for who in GO}}


def language(who):
    """The program that measured this one."""
    return LANGUAGE.get(who, "rust")


def summarise(samples, machine, segment, keyed, effort):
    """Medians. `results_with_work` is what the loop takes more because of the call: the work's own time, measured
    in the same program with the same number of threads, is taken off."""
    plain, with_work = [], []
    for (work, who, threads, between), values in samples.items():
        if work == "between_work":
            continue
        own = median(samples["between_work", language(who), threads, 1]) if between else 0
        entry = {"work": work, "who": who, "threads": threads, "ns": round(median(values) - own, 3)}
        (with_work if between else plain).append(entry)
    order = lambda entry: (entry["threads"], entry["work"])
    return {
        "machine": {**machine, **effort._asdict()},
        "results": sorted(plain, key=order),
        "results_with_work": sorted(with_work, key=order),
        "between_work_ns": {name: median(samples["between_work", name, 1, 1]) for name in ("rust", "c", "go")},
        "segment": segment,
        "keyed": keyed,
    }


def write(result, path):
    path.write_text(json.dumps(result, indent=1) + "\n")
