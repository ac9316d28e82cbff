# What to do here. `make demo` shows it, `make test` is exactly what CI runs.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
CARGO ?= cargo
ROOT := $(shell [ "$$(id -u)" = 0 ] && echo yes)

# What the tests drive: real daemons, network namespaces, a database server, a browser.
PACKAGES := python3-venv iproute2 nftables openssh-server openssh-client dropbear-bin inetutils-telnetd vsftpd lighttpd \
	nginx-light mosquitto memcached redis-server samba tigervnc-standalone-server xrdp gnupg postgresql \
	python3-aiosmtpd chromium fonts-noto-cjk nmap libxml2-utils \
	exim4-daemon-light lighttpd-mod-openssl inetutils-inetd openssl \
	snmpd bind9 dnsmasq-base ntpsec libcoap3-bin kamailio miniupnpd wsdd2 \
	busybox-static python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good

.PHONY: help demo build test lint deps fuzz bench bench-lake bench-engines release clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: ## build, run the whole circle on a simulated town, open the dashboard (first build 10 to 20 minutes, then under 60 s)
	@echo "== building kenshin (the first time 10 to 20 minutes on two cores: DataFusion, Delta and OpenSSL are compiled)"
	$(CARGO) build -p kenshin
	@echo "== running the circle: town, survey, findings, notices, two simulated weeks, re-check (under 60 s)"
	target/debug/kenshin demo

build: ## the debug binary, target/debug/kenshin
	$(CARGO) build -p kenshin

# What is compiled of the workspace is linted and documented on the way, see the script.
WATCHED = RUSTC_WORKSPACE_WRAPPER=$(CURDIR)/.ci/rustc

# What is tested by chance is the same at each run, as it is for the fuzz targets: `make fuzz` looks elsewhere.
test: export PROPTEST_RNG_SEED ?= 1
test: deps ## everything CI runs (about 40 minutes from nothing on two cores, 22 when built)
	@echo "== formatting"
	$(CARGO) fmt --all --check
	@echo "== tests are built, linted and documented, and fuzz targets beside them (about 18 minutes from nothing)"
	@rm -rf target/skipped
	@# When a crate is the last one, a processor is free for those of the fuzz targets.
	fuzz/run build & building=$$!; built=0; \
		{ $(WATCHED) $(CARGO) build --workspace && $(WATCHED) $(CARGO) test --workspace --all-targets --no-run; } \
		|| built=$$?; wait $$building; exit $$built
	@echo "== tests (about 20 minutes)"
	$(WATCHED) $(CARGO) test --workspace --no-fail-fast
	@echo "== fuzz targets, 5,000 executions each (10 s)"
	fuzz/run smoke
	@echo "== user interface (about 1 minute)"
	cd ui && npm run --silent lint && npm test --silent
	@echo "== skipped here, by name:"; ls target/skipped 2>/dev/null || echo "   none"

lint: ## formatting and lints
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --quiet -- -D warnings

deps: ## Debian packages that the tests drive (as root; otherwise the tests that need them are skipped by name)
ifeq ($(ROOT),yes)
	@echo "== Debian packages for the tests (up to 3 minutes the first time)"
	@dpkg-query -W $(PACKAGES) >/dev/null 2>&1 || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
		apt-get install -y -qq --no-install-recommends $(PACKAGES) >/dev/null; }
else
	@echo "== not root: no packages are installed; tests that need privilege or a missing daemon skip and say so by name"
endif

fuzz: ## every fuzz target for 60 s (about 4 minutes to build from nothing), then property tests, each by 2,000 other cases (about 10 minutes)
	fuzz/run 60
	PROPTEST_CASES=2000 $(CARGO) test --workspace --lib

# Each can be run alone: `make bench BENCH=order`. Their verdicts are in docs/performance.md.
BENCH ?= order transmit sweep recognition month lake

bench: deps ## rates, losses, recognition, a scaled month, lake and search, against system calls, ZMap, masscan, nmap and DuckDB (root; 45 minutes when built, and about as long for the lake)
	@dpkg-query -W zmap masscan >/dev/null 2>&1 || \
		DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends zmap masscan >/dev/null
	$(CARGO) build --release -p kenshin-bench
	@missed=; for bench in $(BENCH); do echo "== $$bench"; \
		case $$bench in lake) $(MAKE) --no-print-directory bench-lake;; \
			*) target/release/kenshin-bench $$bench --json bench/results/$$bench.json;; esac || missed="$$missed $$bench"; done; \
		[ -z "$$missed" ] || { echo "== limits missed, or not measured:$$missed"; exit 1; }

# Lake and search: ten million services, ingest, SQL against DuckDB from PyPI, and one table that grows to 50 million observations
# (about half an hour when built).
bench-lake:
	$(CARGO) bench -p kenshin-lake --bench services

# The engine that divides questions among workers, and Ballista: in its own workspace and folder, for its features make DataFusion be
# compiled anew (11 to 35 minutes); the lake is made when it is not there, and measured against DuckDB (4 minutes).
bench-engines:
	$(CARGO) bench -p kenshin-lake --bench services -- --lake $(CURDIR)/bench/results/lake --part sql
	$(CARGO) run --release --locked --manifest-path bench/engines/Cargo.toml --target-dir target/engines -- bench/results/lake

release: ## the optimised binary, target/release/kenshin (about 40 minutes from nothing on two cores)
	$(CARGO) build --release -p kenshin

clean: ## remove what was built
	$(CARGO) clean
	rm -rf ui/dist ui/node_modules test-output
