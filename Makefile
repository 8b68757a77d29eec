# The front door. `make` lists what there is; anything longer than a line lives in scripts/.
# Everything is built with the release profile: Cargo.toml says why.

export PATH := $(PATH):$(HOME)/.cargo/bin
SHELL := /bin/bash

.DEFAULT_GOAL := help
.PHONY: help deps deps-test demo test test-stores test-tools test-all chaos fuzz lint bench clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## Install what building needs (says what, first)
	@scripts/install.sh build

deps-test: ## Install what the tests need besides (PostgreSQL, exiftool, vips, ffmpeg, libfaketime)
	@scripts/install.sh test

demo: deps ## Upload a burst of 12 photos to a server of its own (PHOTOS=dir, PORT=n, ONCE=1, KEEP=1)
	@scripts/demo.sh

test: deps deps-test ## Run every test
	@scripts/test.sh

test-stores: deps ## Run the tests on foreign S3 stores, built once and kept (STORES="garage versitygw")
	@scripts/test-stores.sh

test-tools: deps ## Run strangers' tools (boto3, AWS CLI, rclone, s3cmd, aws-sdk-js in Chromium, tuspy, tus-js-client, Uppy)
	@scripts/install.sh tools
	@scripts/test-tools.sh

test-all: test test-stores test-tools ## Run every test, those on foreign stores and with foreign tools included

chaos: deps deps-test ## Send 1,000 photos through faults and kills (SEED=n, CAPTURES=n, CLIPS=n, DATABASE=name)
	@scripts/chaos.sh

fuzz: deps ## Fuzz what reads untrusted bytes (TARGET=name, SECONDS_EACH=n, MEDIA=dir)
	@scripts/fuzz.sh

lint: deps ## Check format, lints, licences and sources of dependencies
	@scripts/lint.sh

bench: deps deps-test ## Measure, into target/bench/results.json (ONLY=group for one; PHOTOS=n for lanes)
	@scripts/peers.sh install
	@SAFELIGHT_GARAGE="$$(scripts/stores.sh cached garage && scripts/stores.sh path garage)" \
		SAFELIGHT_TOOLS="$$(scripts/test-tools.sh path)" SAFELIGHT_PEERS="$$(scripts/peers.sh path)" \
		cargo run --release -p safelight-bench -- $(ONLY)

clean: ## Remove what was built and the demo's data
	cargo clean
	rm -rf demo-data
