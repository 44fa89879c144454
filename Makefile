# Common tasks of this repository. `make` without a target lists them.

.DEFAULT_GOAL := help
SHELL := /bin/bash

.PHONY: help clients-go clients-java demo sandbox-rootfs serve console test unit test-clients lint fmt docs test-api test-web fuzz bench soak release dist test-dist test-proxies test-operations test-models test-mcp test-databases test-documents clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## Build Runyard, start a server and run an agent on a CSV file (the first time takes 5 to 10 minutes)
	@scripts/demo.sh

sandbox-rootfs: ## Build a root with Python, pandas, Node.js and git for the sandbox (three minutes, 1.6 GB); make demo uses it
	@scripts/sandbox-rootfs.sh

serve: ## Build and start a server with the defaults
	@scripts/install.sh cc:build-essential /usr/include/stdio.h:build-essential bwrap:bubblewrap
	cargo run --locked -- serve

console: ## Build the console and the API reference; the next build of the program embeds them
	@scripts/console.sh

test: ## Run all tests: lints, Rust on SQLite and PostgreSQL, clients in other languages, the console, the packages
	@scripts/test.sh

unit: ## Run the Rust tests on SQLite only
	cargo test --locked --workspace

test-clients: ## Test this repository's clients and common gRPC and Connect libraries (ten minutes the first time, then five)
	cargo build --locked --bin runyard
	tests/clients/run.sh
	tests/foreign/run.sh

clients-go: ## Generate a Go module from proto/ in target/clients-go (MODULE=example.com/runyard sets its path)
	@MODULE=$(MODULE) scripts/clients.sh go

clients-java: ## Generate a Maven project, and a jar if javac is installed, in target/clients-java
	@scripts/clients.sh java

test-web: ## Test the console in Chromium (three minutes); screenshots go to target/web
	cargo build --locked --bin runyard
	scripts/web.sh

test-api: ## Send a real server valid and invalid requests derived from /openapi.json (three minutes)
	cargo build --locked --bin runyard
	tests/api/run.sh

test-proxies: ## Test the program behind nginx, HAProxy, Caddy and Envoy (four minutes)
	cargo build --locked --bin runyard
	tests/proxies/run.sh

test-operations: ## Test the alerts and the dashboard, the files for Docker Compose and Kubernetes, and the recipes for backups (five minutes)
	cargo build --locked --bin runyard
	tests/operations/run.sh

test-databases: ## Test every supported PostgreSQL version, and PgBouncer (half an hour); PARTS="18 pooler" selects parts
	@scripts/databases.sh $(PARTS)

test-models: ## Test Runyard with llama.cpp and LiteLLM (five minutes after a release build)
	cargo build --locked --release --bin runyard
	tests/models/run.sh

test-mcp: ## Test MCP servers of other projects, and the protocol's conformance suite (three minutes)
	cargo build --locked --bin runyard
	cargo build --locked --package runyard-mcp --example conformance
	tests/mcp/run.sh

test-documents: ## Read 150 real documents and 2,000 damaged ones through the sandbox (15 minutes after a release build)
	cargo build --locked --release --bin runyard
	tests/documents/run.sh

fuzz: ## Fuzz the parsers of untrusted input, 30 seconds each (the first build takes about ten minutes)
	@scripts/fuzz.sh

lint: ## Check formatting, lints and the protobuf API
	@scripts/lint.sh

fmt: ## Format the code
	cargo fmt --all

docs: ## Regenerate docs/ from the code
	RUNYARD_WRITE_DOCS=1 cargo test --locked --test it -- docs::

bench: ## Measure speed, beside its targets (a release build, then half an hour; QUICK=1 for less; PREVIOUS=FILE to compare)
	cargo build --locked --profile production --bin runyard --package runyard --package runyard-bench --bin runyard-bench
	target/production/runyard-bench $(if $(QUICK),--quick) $(if $(DATABASE),--database $(DATABASE)) $(addprefix --only ,$(ONLY)) \
		$(if $(PREVIOUS),--server target/production/runyard --server $(PREVIOUS))

soak: ## Check that memory does not grow under mixed load (a release build, then one hour; MINUTES=N changes it)
	cargo build --locked --profile production --bin runyard --package runyard --package runyard-bench --bin runyard-bench
	target/production/runyard-bench --only soak --minutes $(or $(MINUTES),60) $(if $(DATABASE),--database $(DATABASE))

release: ## Build the optimised program
	cargo build --locked --release --bin runyard

dist: ## Build a release: a tarball and a Debian package, in target/dist
	@scripts/dist.sh

test-dist: ## Build, install and test a release (RUNYARD_BIN=… packs an existing program)
	@tests/dist/run.sh

clean: ## Remove build output
	cargo clean
