"""The budgets of the design, each a ratio of figures from one run."""

from measure import DISCIPLINES, KEYED

RUST, C, GO = "tidegate-rust", "tidegate-c", "tidegate-go"
# "No dearer" leaves this much to the noise between two medians.
NOISE = 1.05


class Budget:
    """`ratio(ns)` gets a function (work, who, threads=None) -> ns, whose threads default to the column's. Where there is a
    limit `on_two` threads, the ratio has to be below it there too."""

    def __init__(self, name, limit, ratio, across_threads=False, on_two=None):
        self.name, self.limit, self.ratio = name, limit, ratio
        self.across_threads, self.on_two = across_threads, on_two


def over(work, who, other_work, other_who):
    return lambda ns: ns(work, who) / ns(other_work, other_who)


def two_threads(work, who):
    return lambda ns: ns(work, who, 2) / ns(work, who, 1)


def policy_cost(who):
    """What the policy adds to the same guard, over wasmtime's bare call."""
    return lambda ns: (ns("guard_policy", who) - ns("guard", who)) / ns("policy_call", "wasmtime")


def shared(work, who):
    """Two threads on one, over two threads on one each: what sharing costs, whatever the processors share."""
    return lambda ns: ns(work, who, 2) / ns(f"{work}_apart", who, 2)


GUARD = [
    Budget("guard, Rust / floor", 1.5, over("guard", RUST, "guard", "floor")),
    Budget("guard, Rust: a thread of two / one alone", 4, two_threads("guard", RUST), across_threads=True),
    Budget("guard, C / Rust", 1.2, over("guard", C, "guard", RUST)),
    Budget("guard, Go / sentinel-golang entry + exit", 1 / 8, over("guard", GO, "guard", "alibaba/sentinel-golang")),
    Budget("guard, Go / rate Allow + gobreaker Execute", 1, over("guard", GO, "guard", "composed-go")),
    Budget("counter / atomic add", 1.5, over("counter", RUST, "atomic_add", "floor")),
    Budget("counter: a thread of two / one alone", NOISE, two_threads("counter", RUST), across_threads=True),
    Budget("counter: two threads on one / on one each", NOISE, shared("counter", RUST), across_threads=True),
    Budget("histogram / atomic add", 3, over("histogram", RUST, "atomic_add", "floor")),
    Budget("histogram: a thread of two / one alone", NOISE, two_threads("histogram", RUST), across_threads=True),
    Budget("histogram: two threads on one / on one each", NOISE, shared("histogram", RUST), across_threads=True),
    Budget("guard with everything on / floor of a guard", 2, over("guard_everything", RUST, "guard", "floor")),
    Budget("policy on a guard / wasmtime's bare call", 2, policy_cost(RUST)),
]


def of_floor(work):
    return Budget(work, 2, over(work, RUST, work, "floor"))


def drop_in(work, who, original):
    return Budget(f"{work}, Go / {original}", NOISE, over(work, who, work, original), on_two=1)


def of_governor(work):
    bytes_of = f"{work}, bytes"
    return [Budget(f"{work}, ns / governor's", 1, over(work, RUST, work, "governor")),
            Budget(f"{work}, bytes a key / governor's", 1, over(bytes_of, RUST, bytes_of, "governor"))]


DROP_INS = [
    *(drop_in(work, GO, "golang.org/x/time/rate") for work in ("limiter_allow", "limiter_wait", "limiter_reserve")),
    drop_in("breaker", "tidegate-gobreaker", "sony/gobreaker v2"),
]
# All but those that Go alone has.
OF_FLOORS = [of_floor(work) for work in DISCIPLINES if work != "limiter_wait"]
BY_KEY = [budget for work in KEYED for budget in of_governor(work)]
# By what the ratios of each are of.
SECTIONS = {"ratio": GUARD, "drop-in / original": DROP_INS, "discipline, Rust / its floor": OF_FLOORS, "limit by key / governor's": BY_KEY}
