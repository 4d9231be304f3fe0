# `make` prints what there is to do.

GO            ?= go
GOLANGCI_LINT ?= $(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
LISTEN        ?= 127.0.0.1:8787
BENCHTIME     ?= 2s
PKG           ?= ./...
# Debian packages of what tests and benchmarks run beside the platform.
BACKENDS      := redis-server nginx chromium buildah debootstrap
IMAGE_BUILDER ?= docker
IMAGE         ?= vibesdk-gcp
SANDBOX_IMAGE ?= vibesdk-gcp-sandbox
TAG           ?= latest
# The race detector needs a C compiler; without one the tests run all the same.
RACE          := $(shell command -v cc >/dev/null 2>&1 && echo -race)
SKIPS         := $(CURDIR)/.cache/skipped-tests

# The Cloud Storage client is used over HTTP; without its gRPC half the programs are half the size.
TAGS          := disable_grpc_modules,grpcnotrace
USER_GOFLAGS  := $(GOFLAGS)
export GOFLAGS := -buildvcs=false -tags=$(TAGS) $(GOFLAGS)

.PHONY: help
help: ## Print this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z\/-]+:.*## / {printf "  \033[1m%-18s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build vibed, vibectl, sandboxd and replay into bin/ (pure Go, no C compiler needed)
	CGO_ENABLED=0 $(GO) build -o bin/ ./cmd/vibed ./cmd/vibectl ./cmd/sandboxd ./cmd/replay

.PHONY: images
images: ## Build the images of platform and sandbox (IMAGE_BUILDER=docker|buildah IMAGE= SANDBOX_IMAGE= TAG=)
	CGO_ENABLED=0 GOOS=linux $(GO) build -trimpath -ldflags='-s -w' -tags=$(TAGS),timetzdata -o bin/linux/ ./cmd/vibed ./cmd/vibectl ./cmd/sandboxd
	$(IMAGE_BUILDER) build -f infra/docker/Dockerfile -t $(IMAGE):$(TAG) .
	$(IMAGE_BUILDER) build -f infra/docker/SandboxDockerfile -t $(SANDBOX_IMAGE):$(TAG) .

.PHONY: backends
backends: ## Install what tests want beyond Go, Java, Node.js and PostgreSQL: with apt-get as root, otherwise it says what is missing
	@missing=""; for p in $(BACKENDS); do dpkg -s $$p >/dev/null 2>&1 || missing="$$missing $$p"; done; \
	if [ -z "$$missing" ]; then echo "nothing is missing"; \
	elif [ "$$(id -u)" = 0 ]; then apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null && echo "installed$$missing"; \
	else echo "missing:$$missing (sudo apt-get install$$missing); tests that need them are skipped"; fi

.PHONY: build/all
build/all: ## Compile everything in pure Go, for Linux and for macOS
	CGO_ENABLED=0 GOOS=linux $(GO) build ./...
	CGO_ENABLED=0 GOOS=darwin GOARCH=arm64 $(GO) build ./...

.PHONY: run
run: build ## Start every role on one SQLite file and preview the example app (LISTEN=127.0.0.1:8787)
	@# With this machine's own build cache the example does not compile the standard library again.
	@LISTEN=$(LISTEN) GOFLAGS='$(USER_GOFLAGS)' GOCACHE="$$($(GO) env GOCACHE)" \
		SANDBOX_PASS_ENV="GOCACHE$${SANDBOX_PASS_ENV:+,$$SANDBOX_PASS_ENV}" exec bin/vibed --run examples/hello

.PHONY: run/gcp
run/gcp: ## Show RUNTIME_PROVIDER=gcp on this machine: Pub/Sub and Firestore emulators, Redis, Postgres, a Cloud Run fake (LISTEN=127.0.0.1:8787)
	@RUN_GCP_LISTEN=$(LISTEN) RUN_GCP_HOLD=1 $(GO) test -count=1 -v -timeout 0 -run '^TestVerificationAppIsGeneratedEndToEnd$$' ./cmd/internal/app

.PHONY: test
test: ## Run all tests; says what was skipped and why. REQUIRE_BACKENDS=1 turns a skip for want of a back end into a failure
	@mkdir -p $(dir $(SKIPS)) && : > $(SKIPS)
	@status=0; TESTENV_SKIPS=$(SKIPS) $(GO) test $(RACE) -timeout 30m $(PKG) || status=$$?; \
	if [ -s $(SKIPS) ]; then echo; echo "skipped:"; sort -u $(SKIPS) | sed 's/^/  /'; else echo "skipped: nothing for want of a back end"; fi; \
	exit $$status

.PHONY: test/short
test/short: ## Run the tests that need no other program and take seconds
	$(GO) test -short $(PKG)

.PHONY: chaos
chaos: ## Kill, freeze and cut off everything for CHAOS_TIME (default 3m) under load, then look for what is lost or doubled; CHAOS_SEED repeats
	CHAOS_TIME=$${CHAOS_TIME:-3m} $(GO) test -count=1 -v -timeout 3h -run '^TestChaos' ./cmd/internal/chaos

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME (default 20s) each
	@for pkg in $$($(GO) list ./...); do for target in $$($(GO) test -list '^Fuzz' $$pkg | grep ^Fuzz || true); do \
		echo "$$pkg $$target"; $(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $${FUZZTIME:-20s} $$pkg || exit 1; done; done

.PHONY: bench
bench: build ## Run every benchmark beside what a user would pick instead (BENCHTIME=2s); see docs/benchmarks.md
	$(GO) test -run '^$$' -bench . -benchtime $(BENCHTIME) -timeout 60m $(PKG)

.PHONY: bench/smoke
bench/smoke: ## Run each benchmark once, so that they keep working
	$(GO) test -run '^$$' -bench . -benchtime 1x -timeout 20m $(PKG)

.PHONY: lint
lint: ## Check format and lint rules
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "gofmt wants to change:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...
	$(GOLANGCI_LINT) run ./...
	@if command -v terraform >/dev/null 2>&1; then terraform fmt -check -diff -recursive infra/gcp; \
	elif [ "$$REQUIRE_BACKENDS" = 1 ]; then echo "terraform is not installed, and REQUIRE_BACKENDS=1 needs it"; exit 1; \
	else echo "terraform is not installed: the format of infra/gcp was checked by the Go tests only"; fi

.PHONY: generate
generate: ## Write generated files again: schemas/gen, the topic list for Terraform, the embedded schedules
	$(GO) run ./cmd/schemagen

.PHONY: verify
verify: ## Fail if a generated file is not what `make generate` writes, or go.mod is not tidy
	$(GO) run ./cmd/schemagen --check
	$(GO) mod tidy -diff

.PHONY: clean
clean: ## Remove what build and run left: bin/, data/, .cache/
	rm -rf bin data .cache
