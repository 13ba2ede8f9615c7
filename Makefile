# Needs Rust, git and make; .ci/setup brings the rest (with apt-get as root, else it says what to install).

.PHONY: help demo demo-up test soak bench fmt lint drivers setup-demo setup-test clean-venv

help: ## what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: setup-demo ## a whole cluster on this machine, shown from end to end and checked; exits 0 or 1
	cargo build --release --locked
	target/release/pgweave demo --tour
	@echo
	@echo "To have the cluster to yourself: make demo-up"

demo-up: setup-demo ## the same cluster, up until Ctrl-C
	cargo build --release --locked
	target/release/pgweave demo

test: setup-test drivers ## format, lints, every test; ends with what was skipped and why
	.ci/test

soak: setup-test drivers ## the same properties as in `make test`, for longer
	PGWEAVE_ORACLE_MUTANTS=200000 PGWEAVE_SOAK=20 cargo nextest run --locked -E 'test(oracle) | test(superset) | test(faults)'

bench: setup-bench ## what the proxy costs beside a raw relay and PgBouncer
	cargo bench --locked --bench proxy
	cargo bench --locked --bench route

fmt: ## formats the source
	cargo fmt

lint: ## clippy as in `make test`
	cargo clippy --locked --all-targets -- -D warnings

# psycopg and asyncpg in .venv, for the tests of drivers.
drivers: .venv/made
.venv/made: tests/drivers/requirements.txt
	python3 -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -r tests/drivers/requirements.txt
	touch $@

setup-demo:
	@.ci/setup demo

setup-test:
	@.ci/setup test

setup-bench:
	@.ci/setup bench

clean-venv: ## removes .venv
	rm -rf .venv
