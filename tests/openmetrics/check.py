"""Reads two files, a page as OpenMetrics and the same page as Prometheus text, with the reference readers.

Fails when a reader does not accept its page, or when the two do not hold the same samples.
"""

import math
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text


def families(path, reader):
    with open(path, encoding="utf-8", newline="") as page:
        found = list(reader(page.read()))
    if not found:
        sys.exit(f"{path}: no metrics")
    return found


def samples(found):
    """Name and labels to value; what is not a number equals itself."""
    values = {}
    for family in found:
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            if key in values:
                sys.exit(f"{key} stands twice")
            values[key] = "NaN" if math.isnan(sample.value) else float(sample.value)
    return values


def describe(found):
    """Base name to type and help."""
    return {family.name.removesuffix("_total"): (family.type, family.documentation) for family in found}


def main():
    openmetrics = families(sys.argv[1], read_openmetrics)
    text = families(sys.argv[2], read_text)
    if samples(openmetrics) != samples(text):
        odd = set(samples(openmetrics).items()) ^ set(samples(text).items())
        sys.exit(f"the formats differ in: {sorted(odd, key=str)}")
    if describe(openmetrics) != describe(text):
        odd = set(describe(openmetrics).items()) ^ set(describe(text).items())
        sys.exit(f"the formats describe differently: {sorted(odd, key=str)}")
    print(f"openmetrics: {len(openmetrics)} families, {len(samples(openmetrics))} samples, alike in both formats")


main()
