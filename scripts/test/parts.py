"""All parts, in the order in which they run."""

import counting
from environment import OUT, PREFIX, SMALL, TARGET, for_cgo
from part import Part

TSAN_TARGET = "x86_64-unknown-linux-gnu"


def c_tests(out, prefix, sanitize=""):
    return (f"make --no-print-directory -C tests/c run OUT={OUT / out} INCLUDE={prefix}/include LIBDIR={prefix}/lib"
            f" SANITIZE={sanitize}")


def go_tests(folder, environment="", flags=""):
    return lambda: (f"cd {folder}; export {for_cgo()} {environment}; go vet ./...;"
                    f" go test -count=1 -json {flags} ./...")


def go_both_ways(folder):
    """With the library, and without it."""
    return lambda: (f"cd {folder}; export {for_cgo()}; go vet ./...; go test -count=1 -json -race ./...;"
                    f" CGO_ENABLED=0 go vet ./...; CGO_ENABLED=0 go test -count=1 -json ./...")


PARTS = [
    Part("format", "Rust and Go are formatted",
         """cargo fmt --all --check
            cargo fmt --manifest-path policies/Cargo.toml --all --check
            unformatted=$(gofmt -l bindings bench demo overload)
            echo "$unformatted"; test -z "$unformatted" """),
    Part("header", "include/tidegate.h is what ffi/ says", "scripts/header --check"),
    Part("clippy", "clippy has nothing to say", "cargo clippy --workspace --all-targets --locked --keep-going -- -D warnings"),
    # Optimised, as models go through millions of orders, and with the checks for overflow that a release has not.
    Part("core", "Rust: core and telemetry (unit, property, loom, vectors, crashes)",
         "export CARGO_PROFILE_DEV_OPT_LEVEL=2 CARGO_PROFILE_TEST_OPT_LEVEL=2;"
         " cargo test --locked --no-fail-fast -p tidegate-core -p tidegate-telemetry", counting.cargo),
    # Without debug assertions, where every instruction and every one of a million is tried.
    Part("proofs", "Rust: killed at every instruction of a call; a million guards and series come and go",
         "cargo test --release --locked -p tidegate-core --test killed --test turnover", counting.cargo, beside_next=True),
    Part("library", "libtidegate builds and installs", "make --no-print-directory prefix", builds=True),
    Part("policies", "Policies build from their sources", "make --no-print-directory -C policies", builds=True,
         needs="policies/Makefile"),
    Part("hosts", "Rust: policy host and C ABI",
         "cargo test --release --locked --no-fail-fast -p tidegate-wasm-host -p tidegate", counting.cargo),
    Part("symbols", "Symbols are those of the header", f"tests/abi/symbols {PREFIX} {OUT}/symbols", counting.ours),
    Part("link", "Programs link as users would, the C example among them",
         f"tests/abi/link {PREFIX} {OUT}/link {TARGET}/release", counting.ours),
    Part("readme", "What the READMEs show works as it stands", f"tests/readme/run {PREFIX} {OUT}/readme", counting.ours),
    Part("asan", "C tests and vectors, AddressSanitizer on the shipped library",
         c_tests("asan", PREFIX, "address,undefined"), counting.ours),
    Part("small", "C tests and symbols of the library without WASM",
         f"""scripts/size {TARGET}
             scripts/install {SMALL}/release {SMALL}/prefix
             failed=0
             tests/abi/symbols {SMALL}/prefix {OUT}/symbols-small || failed=1
             {c_tests("small", SMALL / "prefix")} || failed=1
             exit $failed""", counting.ours, tells=("size: ",)),
    Part("tsan", "C tests and vectors, ThreadSanitizer with the Rust side instrumented",
         f"tests/c/tsan {TARGET} {TSAN_TARGET} {OUT}/tsan", counting.ours),
    Part("cpp", "C++: tests, vectors, example and README, in every standard, with exceptions and without",
         f"bindings/cpp/test/run {PREFIX} {OUT}/cpp", counting.ours, needs="bindings/cpp"),
    Part("go", "Go: vet, tests and vectors with -race", go_tests("bindings/go", flags="-race"), counting.go),
    Part("go-prom", "Go: the collector for client_golang", go_tests("bindings/go/prometheus", flags="-race"),
         counting.go, needs="bindings/go/prometheus"),
    Part("go-grpc", "Go: interceptors for gRPC, with and without the library", go_both_ways("bindings/go/grpc"),
         counting.go, needs="bindings/go/grpc"),
    Part("go-gin", "Go: middleware for Gin, with and without the library", go_both_ways("bindings/go/gin"),
         counting.go, needs="bindings/go/gin"),
    Part("go-sqlite", "Go: database/sql over SQLite, with and without the library",
         go_both_ways("bindings/go/examples/sqlite"), counting.go, needs="bindings/go/examples/sqlite"),
    Part("go-pass", "Go: the pass-through of CGO_ENABLED=0", go_tests("bindings/go", "CGO_ENABLED=0"), counting.go),
    Part("go-bench", "Go: the benchmark's program is vetted", lambda: f"cd bench/go; export {for_cgo()}; go vet ./...",
         needs="bench/go"),
    Part("go-demo", "Go: the demo's parts", go_tests("demo", flags="-race"), counting.go, needs="demo/go.mod"),
    Part("demo", "End to end: the demo, shortened", "demo/run --short", counting.ours, needs="demo/run"),
    Part("go-overload", "Go: the overload experiments' parts", go_tests("overload", flags="-race"), counting.go,
         needs="overload/go.mod"),
    Part("overload", "End to end: the overload experiments, shortened", "overload/run --short", counting.ours,
         needs="overload/run"),
    Part("openmetrics", "OpenMetrics and Prometheus text are read by the reference readers", "tests/openmetrics/run",
         needs="tests/openmetrics/run"),
]
