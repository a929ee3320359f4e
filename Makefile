# Everything a developer or CI does here. Each target installs what it needs the first time (tools/setup), says what it does and how long it took.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.PHONY: help build rehearse test judges e2e bench bench-evidence bench-sbom bench-scan bench-promote check docs fuzz cold clean

TARGET := $(shell uname -m)-unknown-linux-musl
BIN_DIR := $(abspath $(or $(CARGO_TARGET_DIR),target))/$(TARGET)
CARGO_TARGET := --locked --target $(TARGET)
EXAMPLE ?= examples/hello
# The base images the example builds from: busybox takes seconds to make, all of them minutes.
IMAGES ?= $(if $(filter %/hello %/vulnerable,$(EXAMPLE)),busybox,busybox debian golang)
# The risks that an example accepts.
RISKS = $(wildcard $(EXAMPLE)/risks.yaml)
# Megabytes of layers that are promoted in the bench.
MB ?= 1050
# A static program needs musl's compiler for its C parts.
export CC_x86_64_unknown_linux_musl ?= musl-gcc
export CC_aarch64_unknown_linux_musl ?= musl-gcc

# $(call step,WHAT,COMMAND): says what starts, and how many seconds it took; notes that where tools/cold asks for it.
step = @printf '==> %s\n' "$(1)" >&2; SECONDS=0; $(2); printf '==> %s: done in %s s\n' "$(1)" "$$SECONDS" >&2; \
	[ -z "$${SUPPLY_ACTION_TIMES:-}" ] || printf '%s\t%s\n' "$$SECONDS" "$(1)" >>"$$SUPPLY_ACTION_TIMES"

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## the program as one static file, optimised
	$(call step,setting up,tools/setup rehearse)
	$(call step,cargo build --release,cargo build $(CARGO_TARGET) --release)
	@printf '%s\n' $(BIN_DIR)/release/supply-action

rehearse: ## build examples/hello and publish it with all its evidence, offline, to a registry in memory (EXAMPLE=DIR for another)
	$(call step,setting up and building,tools/setup rehearse $(IMAGES) -- cargo build $(CARGO_TARGET))
	$(call step,rehearsing a release of $(EXAMPLE),layouts=(); for image in $(IMAGES); do layout=$$(tools/images --path)/$$image; [ ! -d "$$layout" ] || layouts+=(--preload "$$layout"); done; tools/with-buildkit bash -c 'exec "$$@" --registry-port "$$MIRROR_PORT" --out rehearsal' - $(BIN_DIR)/debug/supply-action rehearse $(EXAMPLE) $(if $(RISKS),--input ignore-file=$(RISKS)) "$${layouts[@]}")

# The judges must be the pinned ones, wherever this runs.
test judges e2e bench-evidence: export SUPPLY_ACTION_OWN_BUILDKIT := 1

test: judges e2e ## every test, again with real builds, registries, Sigstore and verifiers as judges, and in workflows

judges: ## every test, then again with real builds, registries, Sigstore and verifiers as judges
	$(call step,setting up and building,tools/setup oracles -- cargo test $(CARGO_TARGET) --no-run)
	$(call step,building supply-action,cargo build $(CARGO_TARGET))
	$(call step,cargo test,cargo test $(CARGO_TARGET))
	$(call step,cargo test --test oracles,SUPPLY_ACTION_BIN=$(BIN_DIR)/debug/supply-action tools/with-tools tools/with-buildkit cargo test $(CARGO_TARGET) --test oracles)

e2e: ## run our workflows and the examples with act, in a Docker engine of their own, against the sandbox
	$(call step,setting up and building,tools/setup e2e -- cargo test $(CARGO_TARGET) --test e2e --no-run)
	$(call step,building supply-action,cargo build $(CARGO_TARGET))
	$(call step,cargo test --test e2e,SUPPLY_ACTION_BIN=$(BIN_DIR)/debug/supply-action tools/with-tools tools/with-docker tools/with-buildkit --github cargo test $(CARGO_TARGET) --test e2e)

bench: bench-evidence bench-sbom bench-scan bench-promote ## every bench, each beside what others use

bench-evidence: ## time the evidence stage beside the cosign commands that do the same
	$(call step,setting up and building,tools/setup oracles -- cargo build $(CARGO_TARGET) --release)
	$(call step,cargo bench,tools/with-tools cargo bench $(CARGO_TARGET) --bench evidence)

bench-sbom: ## time and weigh SBOMs of real images beside syft's, and compare what they list
	$(call step,setting up and building,tools/setup sbom -- cargo build $(CARGO_TARGET) --release)
	$(call step,cargo bench,tools/with-tools --sbom cargo bench $(CARGO_TARGET) --bench sbom)

bench-scan: ## time and weigh the scan of 10,000 packages, and scans at hand beside osv-scanner's
	$(call step,setting up and building,tools/setup scan -- cargo build $(CARGO_TARGET) --release)
	$(call step,cargo bench,tools/with-tools --scan cargo bench $(CARGO_TARGET) --bench scan)

bench-promote: export SUPPLY_ACTION_PROMOTE_MB = $(MB)
bench-promote: ## copy an image with its evidence beside the programs that copy images (MB=210 for a fifth of its size)
	$(call step,setting up and building,tools/setup promote -- cargo build $(CARGO_TARGET) --release)
	$(call step,cargo bench,tools/with-tools --promote cargo bench $(CARGO_TARGET) --bench promote)

check: ## formatting, lints, documentation and unused dependencies; warnings are errors
	$(call step,setting up,tools/setup check)
	$(call step,shellcheck,shellcheck $$(grep -lE '^#!.*sh$$|shellcheck shell=' -d skip tools/* .ci/*))
	$(call step,cargo fmt,cargo fmt --check && cargo fmt --manifest-path fuzz/Cargo.toml --check)
	$(call step,cargo clippy,cargo clippy $(CARGO_TARGET) --all-targets --test oracles --test e2e -- -D warnings)
	$(call step,cargo machete,tools/machete)
	$(call step,cargo doc,RUSTDOCFLAGS="-D warnings" cargo doc $(CARGO_TARGET) --no-deps --document-private-items)

docs: ## renew each action.yml and the pages of docs/reference, which are made of tables and --help, and the golden files
	$(call step,setting up,tools/setup check)
	$(call step,renewing docs,cargo build $(CARGO_TARGET) --examples && RENEW_DOCS=1 cargo test $(CARGO_TARGET) --quiet --test it -- contract::reference:: golden::)

fuzz: ## feed every reader of foreign bytes made-up input for FUZZ_SECONDS each (20 by default; TARGETS=NAME for one)
	$(call step,fuzzing,tools/fuzz $(TARGETS))

cold: ## run README's two commands in a fresh clone of HEAD with empty caches, and say what each part took (COMMANDS=rehearse for one)
	@tools/cold $(COMMANDS)

clean: ## remove what was built here (the cache of tools stays: its folder is supply-action in ~/.cache)
	rm -rf rehearsal
	cargo clean
