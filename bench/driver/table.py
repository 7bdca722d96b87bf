"""The table that `make bench` prints."""

from budgets import SECTIONS
from measure import DISCIPLINES, GENERAL, KEYED
from summary import language

# (name, list in the summary, threads)
COLUMNS = [("1 thread", "results", 1), ("2 threads", "results", 2),
           ("1 + work", "results_with_work", 1), ("2 + work", "results_with_work", 2)]
TIDEGATE = {"rust": "tidegate-rust", "c": "tidegate-c", "go": "tidegate-go"}
# Differences this small are lost in the work between calls, and no ratio is made of them.
LEAST_NS = 3
# Tables of all figures, and what each is of.
WORKS = {"work": [*GENERAL, *KEYED], "discipline": DISCIPLINES}
# A load above this means that others were using the machine.
BUSY = 0.7


def render(result):
    figures = {column: {(e["work"], e["who"], e["threads"]): e["ns"] for e in result[column]}
               for column in ("results", "results_with_work")}
    # So that their budgets are ratios like the others.
    figures["results"] |= {(f"{work}, bytes", who, 1): found for work, by_who in result["keyed"].items()
                           for who, found in by_who.items()}
    parts = [heading(result), *(budget_table(name, budgets, figures) for name, budgets in SECTIONS.items()),
             *(all_table(name, works, figures) for name, works in WORKS.items()), segment_lines(result), keyed_lines(result)]
    return "\n\n".join("\n".join(part) for part in parts)


def heading(result):
    m, work = result["machine"], result["between_work_ns"]
    lines = [f"{m['cpu']}, {m['cores']} cores, Linux {m['kernel']}, clocksource {m['clocksource']}; {m['rustc']}; {m['go']}",
             f"Median of {m['rounds']} rounds, of which each is the fastest of {m['slices']} slices of {m['ms']} ms. "
             f"\"+ work\": {work['rust']:.0f} ns of other work between the calls, taken off again."]
    if m["load_before"] > BUSY:
        lines.append(f"THE MACHINE WAS BUSY (load {m['load_before']:.1f} before the run): the figures say little.")
    return lines


def budget_table(name, budgets, figures):
    rows = [[name, "budget", *(name for name, _, _ in COLUMNS), ""]]
    for budget in budgets:
        ratios = [ratio_of(budget, figures, column, threads) for _, column, threads in COLUMNS]
        rows.append([budget.name, limits(budget), *(shown(r, 3) for r in ratios), verdict(budget, ratios)])
    return aligned(rows)


def ratio_of(budget, figures, column, threads):
    """None where a figure is missing or too small to be divided by; ratios across threads stand under `2`."""
    if budget.across_threads and threads != 2:
        return None

    def ns(work, who, of=None):
        found = figures[column][work, who, of or threads]
        if column == "results_with_work" and found < LEAST_NS:
            raise KeyError
        return found

    try:
        return budget.ratio(ns)
    except (KeyError, ZeroDivisionError):
        return None


def limits(budget):
    on_two = "" if budget.on_two is None else f", 2 threads < {budget.on_two:.3g}"
    return f"≤ {budget.limit:.3g}{on_two}"


def verdict(budget, ratios):
    """By the plain figures: of one thread, or across threads; of two where a limit stands for them."""
    one, two = ratios[:2]
    ratio = two if budget.across_threads else one
    if ratio is None or (budget.on_two is not None and two is None):
        return "not measured"
    met = ratio <= budget.limit and (budget.on_two is None or two < budget.on_two)
    return "met" if met else "NOT MET"


def all_table(name, works, figures):
    """Nanoseconds an operation, and how many times Tidegate's in the same language (one thread, two threads)."""
    rows = [[name, "who", *(column + ", ns" for column, _, _ in COLUMNS), "× Tidegate, 1", "2"]]
    for work in works:
        names = {who for at, who, _ in figures["results"] if at == work}
        sorted_names = sorted(names, key=by_kind)
        for who in sorted_names:
            cells = [shown(figures[column].get((work, who, threads)), 1) for _, column, threads in COLUMNS]
            mark = "*" if who == "floor" else ""
            first = work if who == sorted_names[0] else ""
            rows.append([first, who + mark, *cells, *(times(figures, work, who, threads) for threads in (1, 2))])
    return [*aligned(rows), "* With two threads each has a cache line of its own."]


def by_kind(who):
    """The floor, Tidegate, then the peers by language."""
    return (who != "floor", not who.startswith("tidegate"), language(who) == "go", who)


def times(figures, work, who, threads):
    found = figures["results"].get((work, who, threads))
    own = figures["results"].get((work, TIDEGATE[language(who)], threads))
    return "" if who.startswith("tidegate") or not (found and own) else f"{found / own:.2f}"


def segment_lines(result):
    rows = [["bytes of the segment", "made", "and for each thread that uses it"]]
    for kind, found in result["segment"].items():
        rows.append([kind if kind == "guard" else f"{kind} series", str(found["bytes"]), str(found["bytes_each_thread"])])
    return aligned(rows)


def keyed_lines(result):
    whos = list(dict.fromkeys(who for by_who in result["keyed"].values() for who in by_who))
    rows = [["bytes a key, when full", *whos]]
    for work, by_who in result["keyed"].items():
        rows.append([f"{KEYED[work]:,} keys", *(shown(by_who.get(who), 1) for who in whos)])
    return aligned(rows)


def shown(value, digits):
    return "–" if value is None else f"{value:.{digits}f}" if digits == 1 else f"{value:.{digits}g}"


def aligned(rows):
    """The first column to the left, and the second where it holds names; the rest, figures, to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    left = {0, 1} if rows[0][1] == "who" else {0}
    pad = lambda i, cell: cell.ljust(widths[i]) if i in left else cell.rjust(widths[i])
    return ["  ".join(pad(i, cell) for i, cell in enumerate(row)).rstrip() for row in rows]
