"""How many tests passed and failed, from what the test programs print."""

import json
import re

# "test result: ok. 12 passed; 0 failed; ..." is Rust's.
CARGO = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed;", re.MULTILINE)
# "guard: 12 passed, 0 failed" is that of our own programs.
OURS = re.compile(r"^[\w./ -]+: (\d+) passed, (\d+) failed$", re.MULTILINE)


def summed(pattern):
    def count(output):
        found = [(int(passed), int(failed)) for passed, failed in pattern.findall(output)]
        return sum(passed for passed, _ in found), sum(failed for _, failed in found)

    return count


def go_events(output):
    for line in output.splitlines():
        if line.startswith("{"):
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                continue


def go(output):
    """Tests and subtests of `go test -json`."""
    ends = [event["Action"] for event in go_events(output) if "Test" in event and event["Action"] in ("pass", "fail")]
    return ends.count("pass"), ends.count("fail")


def nothing(_):
    """For what only succeeds or fails."""
    return 0, 0


cargo = summed(CARGO)
ours = summed(OURS)


def verdict(count, output, status):
    """The counts of a part: one that ends well without a count has passed once, one that ends badly has failed."""
    passed, failed = count(output)
    if status != 0 and failed == 0:
        failed = 1
    if status == 0 and passed == 0 and failed == 0:
        passed = 1
    return passed, failed
