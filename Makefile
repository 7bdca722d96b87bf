# Tidegate. `make` lists what there is.
#
# TARGET is where everything is built (cargo's own variable moves it elsewhere).

TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
PREFIX ?= /usr/local
DESTDIR ?=

export PATH := $(CURDIR)/target/tools/bin:$(PATH)
export PYTHONDONTWRITEBYTECODE := 1

.DEFAULT_GOAL := help
.PHONY: help setup build prefix install header fmt test demo overload bench size clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

setup: ## Get what the others need (packages where it may, else it says what is missing)
	@scripts/setup

build: ## Build libtidegate, shared and static
	cargo build --release --locked -p tidegate

prefix: build ## Install into target/prefix, where the Go module, demo and bench look
	@scripts/install $(TARGET)/release $(TARGET)/prefix

# `sudo make install` may find no cargo: then what `make build` left is installed.
install: ## Install under PREFIX (/usr/local) and DESTDIR
	@if command -v cargo >/dev/null; then $(MAKE) --no-print-directory build; fi
	@scripts/install $(TARGET)/release "$(PREFIX)" "$(DESTDIR)"

header: ## Generate include/tidegate.h from ffi/
	scripts/header include/tidegate.h

fmt: ## Format the sources
	cargo fmt --all
	cargo fmt --manifest-path policies/Cargo.toml --all
	gofmt -l -w bindings bench demo overload

test: setup ## Run every test; ends with `N passed, N failed` (PARTS="..." for some of them)
	@scripts/test/run $(PARTS)

demo: setup ## Watch a Go service survive a failing dependency (KEEP=1 leaves it running)
	@$(MAKE) --no-print-directory prefix
	@demo/run $(if $(KEEP),--keep)

overload: setup ## Offer a service up to ten times what it can do, without and with protections
	@$(MAKE) --no-print-directory prefix
	@overload/run

bench: setup ## Measure Tidegate beside its peers
	@$(MAKE) --no-print-directory prefix
	@bench/run

size: ## Sizes of the library, with WASM and without
	@scripts/size $(TARGET)

clean: ## Remove what was built
	rm -rf $(TARGET)
