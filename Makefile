# Every command there is. The first run sets up all that is needed in .venv; later runs reuse it.
#
#   make run     start Chatkeep on this machine and print the link that signs you in
#   make test    everything a change must pass: format, lint, types, imports, docs, tests
#   make fix     repair what a machine can repair, and write the generated pages again
#   make soak    a hundred thousand runs of simulated devices, for hours (ARGS="SEEDS=1000 FIRST_SEED=5000" for others)
#   make restics fetch newer releases of restic, so that the tests ask them too
#   make load    measure a server for many people under load (ARGS="--people 50 --only pages" for a part)
#   make bench   measure Chatkeep beside its peers (ARGS=--large for the big corpora)
#   make lock    resolve the dependencies of pyproject.toml again, with hashes

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test soak restics fix bench load lock packages

PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet

help:
	@sed -n 's/^#   //p' Makefile

run: .venv/for-run
	@$(BIN)/chatkeep serve $(ARGS)

test: .venv/for-test packages
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python docs/generate.py --check
	$(BIN)/pytest -n 2
	CHATKEEP_TESTS=server $(BIN)/pytest -n 2

fix: .venv/for-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python docs/examples.py
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/sizing.py

soak: .venv/for-test
	env SEEDS=100000 $(ARGS) $(BIN)/pytest -n 2 tests/simulator

# The mirror is the one this machine has its packages from; nothing is installed but beside the tests.
restics: | .venv/made
	@mkdir -p .venv/restic/lists/partial .venv/restic/cache/archives/partial
	@mirror=$$(apt-cache policy | grep -om1 'https\?://[^ ]*debian') && \
	for suite in trixie sid; do echo "deb $$mirror $$suite main"; done > .venv/restic/sources
	@cd .venv/restic && options="-o Dir::State::lists=$$PWD/lists -o Dir::Cache=$$PWD/cache \
		-o Dir::Etc::sourcelist=$$PWD/sources -o Dir::Etc::sourceparts=/dev/null -o APT::Sandbox::User=$$(id -un)" && \
	apt-get -qq $$options update && for suite in trixie sid; do \
		apt-get -qq $$options download restic/$$suite && \
		dpkg-deb --fsys-tarfile restic_*.deb | tar x ./usr/bin/restic && \
		mv usr/bin/restic restic-$$suite && rm restic_*.deb; \
	done; rm -rf lists cache sources usr; ./restic-trixie version; ./restic-sid version

bench: .venv/for-test packages
	@$(BIN)/python bench/run.py $(ARGS)

load: .venv/for-test packages
	@$(BIN)/python bench/load.py $(ARGS)

lock: .venv/for-test
	$(LOCK) --group build --group dev --extra server --output-file requirements/test.txt
	$(LOCK) --group build --extra server --constraint requirements/test.txt --output-file requirements/server.txt
	$(LOCK) --group build --constraint requirements/test.txt --output-file requirements/run.txt

LOCK := $(BIN)/uv pip compile pyproject.toml --quiet --upgrade --universal --only-binary :all: --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-header

# What is installed is pinned and checked by hash; what builds Chatkeep itself is pinned among it.
.venv/for-run: requirements/run.txt pyproject.toml | .venv/made
	$(PIP) install --require-hashes --only-binary :all: -r requirements/run.txt
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

.venv/for-test: requirements/test.txt pyproject.toml | .venv/made
	$(PIP) install --require-hashes --only-binary :all: -r requirements/test.txt
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch .venv/for-run $@

# Debian keeps the part of Python that makes a .venv in a package of its own.
.venv/made:
	@test -n "$(PYTHON)" || { echo "Chatkeep needs Python 3.11 or newer; no python3 here is." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { $(install) && install_packages python3-venv; }
	$(PYTHON) -m venv --clear .venv
	@touch $@

# The tests drive a real browser, read our vaults with restic, hold the fake clouds against rclone, and measure beside
# ripgrep. A server is tested with a PostgreSQL of the tests' own, which Debian does not put on the path.
packages: .venv/bin/promtool
	@missing=; \
	for need in chromium:chromium restic:restic rclone:rclone rg:ripgrep \
		caddy:caddy systemd-analyze:systemd; do \
		command -v "$${need%%:*}" >/dev/null || missing="$$missing $${need##*:}"; \
	done; \
	ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || \
		missing="$$missing postgresql"; \
	test -z "$$missing" || { $(install) && install_packages $$missing; }

# Alert rules are tried by Prometheus's own tool. Its package would start a server, so the tool alone is taken from it.
.venv/bin/promtool: | .venv/made
	@command -v promtool >/dev/null && ln -sf "$$(command -v promtool)" $@ || { \
		target=$$PWD/$@; cd "$$(mktemp -d)" && chmod 755 . && \
		{ apt-get -qq download prometheus 2>/dev/null || { $(install) && install_packages && apt-get -qq download prometheus; }; } && \
		dpkg-deb --fsys-tarfile prometheus_*.deb | tar x ./usr/bin/promtool && mv usr/bin/promtool "$$target" && rm -r "$$PWD"; }

define install
install_packages() { \
	local root=; \
	if [ "$$(id -u)" != 0 ]; then root="sudo -n"; fi; \
	if command -v apt-get >/dev/null && $$root true 2>/dev/null; then \
		$$root apt-get update -qq </dev/null && \
		$$root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$$@" \
			</dev/null >/dev/null && return 0; \
	fi; \
	echo "Missing here: $$*. Install it as root, then try again: apt-get install $$*" >&2; \
	return 1; \
}
endef
