# Headwater. `make help` lists the targets.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

GOLANGCI_LINT_VERSION := v2.12.0
FUZZ_SECONDS ?= 3
E2E_TIMEOUT ?= 22m
BENCH_TIMEOUT ?= 20m
SCHEMA ?=

BIN     := $(CURDIR)/bin
SERVER  := $(BIN)/headwater
LINT    := $(BIN)/golangci-lint-$(GOLANGCI_LINT_VERSION)
E2E     := ./cmd/headwater/e2e
PLAYER  := cmd/headwater/e2e/player
AWS     := cmd/headwater/e2e/aws
CONSOLE := origin/console/web

# Programs the tests call, as program:Debian-package.
TOOLS      := ffmpeg:ffmpeg ffprobe:ffmpeg chromium:chromium varnishd:varnish xmllint:libxml2-utils aws:awscli
BENCHTOOLS := nginx:nginx wrk:wrk

# install NAME:PACKAGE... installs with apt what is not there yet.
define install
	missing=""; \
	for t in $(1); do PATH="$$PATH:/usr/sbin:/sbin" command -v "$${t%%:*}" >/dev/null || missing="$$missing $${t#*:}"; done; \
	if [ -n "$$missing" ]; then \
		root=""; [ "$$(id -u)" = 0 ] || root=sudo; \
		echo "installing$$missing"; \
		$$root apt-get update -q && DEBIAN_FRONTEND=noninteractive $$root apt-get install -q -y --no-install-recommends $$missing; \
	fi
endef

# The targets share node_modules and the binary.
.NOTPARALLEL:

.PHONY: help run build players try-players test short lint arch race fuzz golden captures e2e conformance bench cover ci tools bench-tools

help: ## list the targets
	@sed -n 's/^\([a-z][a-z0-9-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r n h; do printf '  %-12s %s\n' "$$n" "$$h"; done

run: build ## build, then serve with the built-in encoder and the console
	$(SERVER) demo

build: try-players ## build bin/headwater
	go build -trimpath -o $(SERVER) ./cmd/headwater

players: $(CONSOLE)/node_modules/.package-lock.json ## fetch the console's players with npm and put them where the console embeds them
	cd $(CONSOLE) && npm run --silent players

# A binary without the players has the browser load the same versions from a CDN: not to get them is no reason not to build.
try-players:
	@if ! command -v npm >/dev/null; then \
		echo "npm is not installed: the console will load its players from a CDN"; \
	elif ! npm_config_fetch_retries=0 $(MAKE) --no-print-directory $(CONSOLE)/node_modules/.package-lock.json 2>/dev/null; then \
		echo "npm ci has failed ('make players' shows why): the console will load its players from a CDN"; \
	else \
		$(MAKE) --no-print-directory players; \
	fi

$(CONSOLE)/node_modules/.package-lock.json: $(CONSOLE)/package-lock.json
	cd $(CONSOLE) && npm ci --ignore-scripts --no-fund --no-audit

test: tools lint arch race fuzz e2e ## everything: lint, import policy, race tests, fuzz, e2e, conformance when SCHEMA is given
	@if [ -n "$(SCHEMA)" ]; then $(MAKE) --no-print-directory conformance SCHEMA="$(SCHEMA)"; else echo "SCHEMA is not given: the MPDs are not validated"; fi

short: ## the tests that take less than 20 s
	go test ./...

lint: $(LINT) ## vet and golangci-lint
	go vet -tags e2e,conformance,bench ./...
	$(LINT) run ./...

$(LINT):
	@echo "building golangci-lint $(GOLANGCI_LINT_VERSION)"
	GOBIN=$(BIN) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	mv $(BIN)/golangci-lint $@

arch: ## the import policy and the guides of form
	go test -count=1 -run 'TestImportPolicy|TestGuides' ./cmd/headwater

race: ## all tests with the race detector
	go test -race -timeout 10m ./...

# go test -fuzz can end with "context deadline exceeded" when its time is up in the middle of its own work: that run found
# nothing and is made again. A finding always names the input that failed.
fuzz: ## each fuzz target for FUZZ_SECONDS (default 3)
	@fuzz() { \
		for try in 1 2 3; do \
			if out=$$(go test -run '^$$' -fuzz "^$$1\$$" -fuzztime $(FUZZ_SECONDS)s -fuzzminimizetime 1x "$$2" 2>&1); then tail -n 1 <<<"$$out"; return 0; fi; \
			echo "$$out"; \
			grep -q 'context deadline exceeded' <<<"$$out" && ! grep -q 'Failing input' <<<"$$out" || return 1; \
		done; return 1; \
	}; \
	grep -rl --include='*_test.go' --exclude-dir=node_modules '^func Fuzz' . | sort | while read -r f; do \
		for n in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$$f"); do \
			echo "$$n in $$(dirname "$$f")"; \
			fuzz "$$n" "$$(dirname "$$f")"; \
		done; \
	done

golden: ## write the golden files anew; review the difference
	go test $$(grep -rl --include='*_test.go' 'flag.Bool("update"' . | xargs -rn1 dirname | sort -u) -update

captures: tools ## record with ffmpeg and GStreamer what encoders send, anew; RUN=regexp picks captures
	go test -count=1 -timeout 10m -run TestTheCapturesAreThoseOfTheRecipes ./origin -record '$(or $(RUN),.)' -v

e2e: tools players build $(PLAYER)/node_modules/.package-lock.json $(AWS)/node_modules/.package-lock.json ## the whole binary with ffmpeg, Chromium and Varnish, AWS clients, and copies with an S3 store; RUN=regexp picks tests
	HEADWATER_BIN=$(SERVER) go test -tags e2e -count=1 -timeout $(E2E_TIMEOUT) $(if $(RUN),-run '$(RUN)') -v $(E2E) ./cmd/headwater/transfer

conformance: tools build ## validate the MPDs with xmllint against SCHEMA/DASH-MPD.xsd
	@test -n "$(SCHEMA)" || { echo "usage: make conformance SCHEMA=dir, where dir holds DASH-MPD.xsd"; exit 2; }
	HEADWATER_BIN=$(SERVER) HEADWATER_SCHEMA="$(abspath $(SCHEMA))" go test -tags conformance -count=1 -timeout 5m -v $(E2E)

bench: bench-tools build ## measure against nginx and net/http, print ratios; RUN=regexp picks rows
	HEADWATER_BIN=$(SERVER) go test -tags bench -count=1 -timeout $(BENCH_TIMEOUT) $(if $(RUN),-run '$(RUN)') -v $(E2E)

cover: ## test coverage per package
	go test -cover ./...

ci: ## what the build server runs
	.ci/run

tools:
	@$(call install,$(TOOLS))
	@python3 -c 'import boto3' 2>/dev/null || /usr/bin/python3 -c 'import boto3' 2>/dev/null || { $(call install,boto3:python3-boto3); }

bench-tools: tools
	@$(call install,$(BENCHTOOLS))

$(AWS)/node_modules/.package-lock.json: $(AWS)/package-lock.json
	cd $(AWS) && npm ci --ignore-scripts --no-fund --no-audit

$(PLAYER)/node_modules/.package-lock.json: $(PLAYER)/package-lock.json
	cd $(PLAYER) && npm ci --ignore-scripts --no-fund --no-audit
