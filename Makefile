# What one types. Everything else is `cargo xtask`.

CARGO ?= cargo
# Which figures `make bench` takes.
BENCH ?= spine
# A workspace of its own: see the file.
# Where rustup puts cargo, for shells that were open before.
export PATH := $(PATH):$(HOME)/.cargo/bin

.DEFAULT_GOAL := help
.PHONY: help up test sim sim-mutations release bench crash chaos fmt fuzz generate engines-up engines-down cluster-up cluster-down autobahn schemathesis tools python

help: ## shows this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-19s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: tools ## builds Volery and runs a whole cluster in this terminal; ARGS="--data DIR" passes flags on
	$(CARGO) build --locked --package volery
	@exec $(CARGO) run --quiet --locked --package volery -- up $(ARGS)

test: tools python ## the gate: every check and every test; the last line counts the tests
	@$(CARGO) xtask ci

SEEDS ?= 10000
FROM ?= $(shell date +%s)0000

sim: tools ## fresh seeds of the simulation on all cores; SEEDS=10000 says how many, FROM=0 where to begin
	$(CARGO) build --quiet --locked --package sim
	@target/debug/sim --seeds $(FROM)..$$(( $(FROM) + $(SEEDS) ))

sim-mutations: tools ## after how many seeds the simulation notices each thing done wrong on purpose
	$(CARGO) build --quiet --locked --package sim
	@target/debug/sim --mutations

# One build for all that measures: another choice of packages is another choice of features, and builds all anew.
release: tools ## builds the server and what measures it, as users run them, into target/release
	$(CARGO) build --release --locked --package volery --package loadtest --package volery-bench --package volery-crash --package volery-chaos

# As many files as may be: 15,000 sessions are as many sockets, on either side. BENCH=engines starts Kafka and Cassandra
# itself, three of each for one figure (6 GiB), BENCH=moves Kafka alone; both fetch them the first time. What else it needs,
# it says.
bench: release ## every figure against its target; BENCH=spine (15 minutes), engines or moves (30), ARGS="--only NAME"
	@ulimit -n "$$(ulimit -Hn)" && target/release/bench $(BENCH) $(ARGS)

TARGET ?= all
SECONDS ?= 60

fuzz: tools ## decoders guided by coverage; TARGET=messages SECONDS=60; the first time it builds for minutes
	@command -v c++ >/dev/null || $(call install,g++)
	@CARGO=$(CARGO) fuzz/guided.sh $(TARGET) $(SECONDS)

N ?= 100

crash: release ## kills the server N=100 times under load, judges what clients saw; ARGS="--stop", "--full-disk" instead
	@target/release/crash $(or $(ARGS),--kills $(N)) --json target/crash/report.json

FAULTS ?= 200

# Three brokers and three Cassandra nodes, beside two processes of every role: 6 GiB. What it starts is its own, in
# target/chaos, and stays up if something is wrong.
chaos: release ## breaks a cluster FAULTS=200 times under load, judges what clients saw; run again, it goes on; ARGS=--anew
	@target/release/chaos --faults $(FAULTS) $(ARGS)

fmt: tools ## formats all code
	$(CARGO) fmt --all
	$(CARGO) fmt --manifest-path fuzz/guided/Cargo.toml

generate: tools ## writes the references under docs/ that are made from code
	@$(CARGO) run --quiet --locked --package volery-reference

engines-up: ## starts Kafka, Cassandra, Redis, PostgreSQL; REPLICAS=3 three nodes of the first two, ENGINES="kafka redis" these
	@engines/engines up $(ENGINES)

engines-down: ## stops them; what they hold stays
	@engines/engines down $(ENGINES)

cluster-up: tools ## two processes of every role on real engines; REPLICAS=3 three nodes of Kafka and Cassandra, NODES=3 of each role
	$(CARGO) build --locked --package volery
	@engines/engines up kafka cassandra redis postgres
	@cluster/cluster up
	@echo && cluster/cluster status && cluster/cluster env

cluster-down: ## stops them, then the engines
	@cluster/cluster down
	@engines/engines down

autobahn: tools python ## Autobahn's cases against the door; the gate runs all of them but group 9, large messages
	$(CARGO) build --locked --package volery-door --example echo
	$(CARGO) test --locked --package volery-door --test autobahn
	AUTOBAHN=9 $(CARGO) test --locked --package volery-door --test autobahn

schemathesis: tools python ## the HTTP edge against its description, for long; EXAMPLES=1000 SEED=1 say how long and which
	SCHEMATHESIS_EXAMPLES=$(or $(EXAMPLES),500) SCHEMATHESIS_SEED=$(or $(SEED),$(shell date +%s)) \
	  $(CARGO) test --locked --package volery --test http_conformance -- --nocapture

# A compiler and a linker are all that is needed; what can be installed without asking is.
tools:
	@command -v $(CARGO) >/dev/null || { \
	  echo "cargo is missing: install Rust from https://rustup.rs, then try again" >&2; exit 1; }
	@command -v cc >/dev/null || command -v gcc >/dev/null || $(call install,gcc libc6-dev)
	@$(CARGO) fmt --version >/dev/null 2>&1 || rustup component add rustfmt
	@$(CARGO) clippy --version >/dev/null 2>&1 || rustup component add clippy

# Suites that others wrote come with pip. Without it, their tests say that they are skipped.
python:
	@python3 -m pip --version >/dev/null 2>&1 || ( $(call install,python3 python3-pip) ) \
	  || echo "tests that need Python will be skipped" >&2

define install
{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
    || { echo "missing: $(1); install it, then try again" >&2; exit 1; }; \
  DEBIAN_FRONTEND=noninteractive apt-get update -q && \
  DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $(1); }
endef
