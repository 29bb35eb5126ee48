# `make help` lists the targets. Each gets the interpreters it needs (tools/python).

, := ,

ENVS = py313t,py314t,py313,py314,lint,typing
INTEGRATION = cluster-py314t,cluster-py313t,cluster-py313,dashboard,brokers,observers-py313t,observers-py314t,clients,clients-gil
TOX_ARGS =
DEMO_ARGS =
# What `make try` runs, on which interpreter, with which options. On 3.14t if nothing is said: races
# show without the GIL, and of the free-threaded builds it is the one that CPython supports.
T =
V = 3.14t
ARGS =
# Which parts `make reports` makes; all if nothing is said.
PARTS =
TOX_VERSION = 4.67.15

DEMO = .venv/demo
CLUSTER_DEMO = .venv/cluster-demo
TRY = .venv/try-$(V)
TOX = .venv/tox
PIP = -m pip install --quiet --disable-pip-version-check
# Of the environments in ENVS, and 3.13 for tox itself, lint and typing.
INTERPRETERS = $(sort 3.13 $(foreach env,$(filter py3%,$(subst $(,), ,$(ENVS))),\
	$(patsubst py3%,3.%,$(firstword $(subst -, ,$(env))))))
SOURCES = pyproject.toml README.md LICENSE $(shell find src -type f -not -name '*.pyc')

# $(call run-tox,interpreters,environments): two of them at a time, since most tests keep one core
# busy, or wait. (They do not depend on time: all of them passed on 3.14t on two cores at a load of 16.)
# What one prints is shown if it fails; one alone prints at once.
# The interpreters stand on PATH as links, because a t-build's own bin folder has a `python3` and a
# `python3.13` that would shadow the others.
run-tox = tools/python --link .interpreters $(1) \
	&& PATH="$(CURDIR)/.interpreters:$$PATH" $(TOX)/bin/python -m tox \
	$(if $(findstring $(,),$(2)),run-parallel --parallel 2 --parallel-no-spinner,run) -e $(2) $(TOX_ARGS)
# Where figures are taken: one after the other.
run-tox-alone = $(subst run-parallel --parallel 2 --parallel-no-spinner,run,$(run-tox))

.DELETE_ON_ERROR:
.PHONY: help demo try test clients brokers observers dashboard cluster cluster-demo integration stress bench leakcheck docs lint clean
.PHONY: reports reliability reliability-run

help:
	@echo 'make demo         run the demo on 3.13t                       DEMO_ARGS="--path DIR"'
	@echo 'make try          some tests, at once, from the checkout      T=tests/pool/test_removing.py V=3.13t ARGS="-x"'
	@echo 'make test         tests on four interpreters, lint, typing    ENVS=py313t,lint TOX_ARGS="-- -x"'
	@echo 'make lint         ruff check and ruff format --check'
	@echo 'make clients      real libraries that use ours, on 3.14t, and gevent on 3.14'
	@echo 'make brokers      consumers of Kafka and of Redis, on 3.14t; needs redis-server'
	@echo 'make observers    OpenTelemetry, Prometheus and structlog, told of pools, on 3.13t and 3.14t'
	@echo 'make dashboard    the dashboard in a real browser, on 3.14t; needs chromium and chromedriver'
	@echo 'make cluster      pools on a Dask cluster of this machine, on 3.14t, 3.13t and 3.13'
	@echo 'make cluster-demo run the demo on a Dask cluster of two processes, on 3.14t'
	@echo '                                                              DEMO_ARGS="--scheduler ADDRESS"'
	@echo 'make integration  brokers, observers, dashboard, cluster and clients at once'
	@echo 'make stress       the hammers on 3.13t and 3.14t              COUNT=1000'
	@echo 'make reliability  hammers, soak, -X dev, a debug build; the tables of docs/reliability.md'
	@echo '                                                              COUNT=10000 SOAK=60 MINUTES=15'
	@echo 'make bench        the benchmarks on 3.13t and 3.14t, and one page of both in .benchmarks'
	@echo 'make leakcheck    what is kept that should go, on 3.13t, 3.14t and 3.13; one page in .leakcheck'
	@echo '                                                              TOX_ARGS="-- --short"'
	@echo 'make docs         the documentation as a site in .docs; its links and its search are looked at'
	@echo '                                                              LINKS=all: those to other sites, too'
	@echo 'make reports      graph, coverage, profiles and more on 3.14t and 3.14, one index in .reports;'
	@echo '                  needs graphviz, linux-perf, npm             PARTS=graph,coverage'
	@echo 'make clean        remove environments, builds and caches; results and cached interpreters stay'

demo: $(DEMO)/.installed
	$(DEMO)/bin/python -m threadpool_mb demo $(DEMO_ARGS)

# From the checkout, not from a wheel: what is edited is what runs. `make test` tests the wheel.
try: $(if $(T),$(TRY)/.installed)
	$(if $(T),,$(error say which tests: make try T=tests/pool/test_removing.py))
	$(TRY)/bin/python -W error -m pytest $(T) $(ARGS)

test: $(TOX)/.tox-$(TOX_VERSION)
	$(call run-tox,$(INTERPRETERS),$(ENVS))

clients: $(TOX)/.tox-$(TOX_VERSION)
	$(call run-tox,3.14t 3.14,clients$(,)clients-gil)

# librdkafka brings a Kafka broker for tests; Redis is the system's.
brokers: $(TOX)/.tox-$(TOX_VERSION)
	@command -v redis-server > /dev/null || { \
		echo 'make brokers needs redis-server on PATH: apt-get install redis-server' >&2; exit 1; }
	$(call run-tox,3.14t 3.13,brokers)

observers: $(TOX)/.tox-$(TOX_VERSION)
	$(call run-tox,3.13t 3.14t 3.13,observers-py313t$(,)observers-py314t)

dashboard: $(TOX)/.tox-$(TOX_VERSION)
	@command -v chromedriver > /dev/null || { \
		echo 'make dashboard needs chromedriver on PATH: apt-get install chromium chromium-driver' >&2; \
		exit 1; }
	$(call run-tox,3.14t 3.13,dashboard)

# What needs more than Python, or libraries that are pinned for it, all at once.
integration: $(TOX)/.tox-$(TOX_VERSION)
	$(call run-tox,3.13t 3.14t 3.13 3.14,$(INTEGRATION))

cluster: $(TOX)/.tox-$(TOX_VERSION)
	$(call run-tox,3.14t 3.13t 3.13,cluster-py314t$(,)cluster-py313t$(,)cluster-py313)

cluster-demo: $(CLUSTER_DEMO)/.installed
	$(CLUSTER_DEMO)/bin/python -m threadpool_mb.demo.on_cluster $(DEMO_ARGS)

stress: $(TOX)/.tox-$(TOX_VERSION)
	$(call run-tox-alone,3.13t 3.14t 3.13,py313t-stress$(,)py314t-stress)

# On two free-threaded builds and a debug build, from the checkout. What fails is kept, and the rest
# goes on: the page shows it, and so does the exit status.
reliability:
	run() { $(MAKE) --no-print-directory reliability-run V="$$1" RUN="$$2" || status=1; }; status=0; \
	for version in 3.13t 3.14t; do \
		run $$version "hammers --count $(or $(COUNT),100) $(if $(MINUTES),--minutes $(MINUTES))"; \
		run $$version "soak --minutes $(or $(SOAK),5)"; \
		run $$version "suite --dev"; \
	done; \
	run 3.14td "hammers --count 1"; run 3.14td suite; \
	$(MAKE) --no-print-directory reliability-run V=3.14t RUN=page && exit $$status

# For instance V=3.14t+tsan RUN="hammers --count 1", with TSAN_OPTIONS set.
reliability-run: $(TRY)/.installed
	$(TRY)/bin/python -m reliability $(RUN)

bench: $(TOX)/.tox-$(TOX_VERSION)
	$(call run-tox-alone,3.13t 3.14t 3.13,py313t-bench$(,)py314t-bench)
	.tox/py314t-bench/bin/python -m benchmarks page .benchmarks/3.*.json

# Its environments one after the other, and the page also when one of them has found something.
leakcheck: $(TOX)/.tox-$(TOX_VERSION)
	$(call run-tox-alone,3.13t 3.14t 3.13,py313t-leakcheck$(,)py314t-leakcheck$(,)py313-leakcheck); \
	status=$$?; .tox/py314t-leakcheck/bin/python -m leakcheck page .leakcheck/3.*.json && exit $$status

# `LINKS=all` looks at other sites, too, which needs a network.
docs: $(TOX)/.tox-$(TOX_VERSION)
	rm -rf .docs
	$(call run-tox-alone,3.13,docs$(if $(filter all,$(LINKS)),$(,)docs-links))
	@echo '$(CURDIR)/.docs/html/index.html'

# Its environments are made, and `python -m reports` then runs what has to be run in each.
reports: $(TOX)/.tox-$(TOX_VERSION)
	$(call run-tox,3.14t 3.14 3.13,reports-py314t$(,)reports-py314 --notest)
	.tox/reports-py314t/bin/python -m reports --gil .tox/reports-py314/bin/python \
		$(subst $(,), ,$(PARTS))

lint: $(TOX)/.tox-$(TOX_VERSION)
	$(call run-tox,3.13,lint)

clean:
	rm -rf .venv .tox .interpreters .docs build dist
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A venv's python is a link, and a link to an interpreter that is gone counts as missing.
$(DEMO)/bin/python:
	python=$$(tools/python 3.13t) && "$$python" -m venv --clear $(DEMO)

$(DEMO)/.installed: $(DEMO)/bin/python $(SOURCES)
	$(DEMO)/bin/python $(PIP) --force-reinstall .
	touch $@

$(CLUSTER_DEMO)/bin/python:
	python=$$(tools/python 3.14t) && "$$python" -m venv --clear $(CLUSTER_DEMO)

$(CLUSTER_DEMO)/.installed: $(CLUSTER_DEMO)/bin/python $(SOURCES)
	$(CLUSTER_DEMO)/bin/python $(PIP) '.[cluster]'
	$(CLUSTER_DEMO)/bin/python $(PIP) --force-reinstall --no-deps .
	touch $@

$(TRY)/bin/python:
	python=$$(tools/python $(V)) && "$$python" -m venv --clear $(TRY)

# `--group` came with pip 25.1. hypothesis on 3.13t: as in tox.ini, which says why.
$(TRY)/.installed: $(TRY)/bin/python pyproject.toml
	$(TRY)/bin/python $(PIP) 'pip>=25.1'
	$(TRY)/bin/python $(PIP) --group test $(if $(filter 3.13t,$(V)),'hypothesis<6.156') --editable .
	touch $@

$(TOX)/bin/python:
	python=$$(tools/python 3.13) && "$$python" -m venv --clear $(TOX)

$(TOX)/.tox-$(TOX_VERSION): $(TOX)/bin/python
	$(TOX)/bin/python $(PIP) tox==$(TOX_VERSION)
	touch $@
