# Everything that is done with this repository more than once. `make` alone lists it.

.DEFAULT_GOAL := help
SHELL := /bin/bash

.PHONY: help demo serve console test unit test-clients lint fmt docs test-api test-web fuzz bench soak release dist test-dist test-proxies clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## Build Runyard, start a server and run an agent on a CSV file (the first time takes 5 to 10 minutes)
	@scripts/demo.sh

serve: ## Build and start a server with the defaults
	@scripts/install.sh cc:build-essential /usr/include/stdio.h:build-essential bwrap:bubblewrap
	cargo run --locked -- serve

console: ## Build the console and the API reference; the next build of the program includes them
	@scripts/console.sh

test: ## Run all tests: lints, SQLite and PostgreSQL, clients in other languages, the console, the packages
	@scripts/test.sh

unit: ## Run the Rust tests on SQLite only
	cargo test --locked --workspace

test-clients: ## Run the tests with clients in other languages
	cargo build --locked --bin runyard
	tests/clients/run.sh

test-web: ## Test the console in real Chromium (three minutes); screenshots go to target/web
	cargo build --locked --bin runyard
	scripts/web.sh

test-api: ## Ask a real server everything that /openapi.json allows, and what it does not (three minutes)
	cargo build --locked --bin runyard
	tests/api/run.sh

test-proxies: ## Try the program behind the real nginx, HAProxy and Envoy (two minutes)
	cargo build --locked --bin runyard
	tests/proxies/run.sh

fuzz: ## Fuzz the parsers of foreign bytes, 30 seconds each (the first build takes some ten minutes)
	@scripts/fuzz.sh

lint: ## Check format, lints and the contract
	@scripts/lint.sh

fmt: ## Format the code
	cargo fmt --all

docs: ## Write docs/ anew from the code
	RUNYARD_WRITE_DOCS=1 cargo test --locked --test it -- docs::

bench: ## Measure speed and growth (a release build, then some twenty minutes; QUICK=1 for five)
	cargo build --locked --release --bin runyard --package runyard --package runyard-bench --bin runyard-bench
	target/release/runyard-bench $(if $(QUICK),--quick) $(if $(DATABASE),--database $(DATABASE))

soak: ## Watch the memory under mixed load (a release build, then MINUTES=60)
	cargo build --locked --release --bin runyard --package runyard --package runyard-bench --bin runyard-bench
	target/release/runyard-bench --only soak --minutes $(or $(MINUTES),60) $(if $(DATABASE),--database $(DATABASE))

release: ## Build the program for use
	cargo build --locked --release --bin runyard

dist: ## Make a release: a tarball and a Debian package, in target/dist
	@scripts/dist.sh

test-dist: ## Make a release, install and try it (RUNYARD_BIN=… packs an existing program)
	@tests/dist/run.sh

clean: ## Remove what was built, and nothing else
	cargo clean
