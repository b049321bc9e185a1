# Each target sets up what it needs in .venv, once. ARGS are passed on.
PYTHON ?= python3
BIN := .venv/bin
OUT ?= gpu-output
# EXTRAS=demo,test,torch adds the foreign witness.
EXTRAS ?= demo,test

.PHONY: help demo test lint bench docs gpu clean
help:
	@echo "make demo   Example 1, then digits classified across resolutions (under 5 minutes)"
	@echo "make test   the test suite"
	@echo "make lint   ruff and mypy"
	@echo "make bench  speed against a peer, recorded in validation/results"
	@echo "make docs   the documentation, in docs/_build"
	@echo "make gpu    everything that needs a GPU, run from source, into OUT=$(OUT)"

.venv/.ready: setup.cfg backends/refmg_backends/_version.py
	@echo "Setting up .venv with refmg, the demo's data and the test tools"
	@$(PYTHON) -m venv .venv || { echo "found no working venv module; on Debian: apt install python3-venv"; exit 2; }
	$(BIN)/python -m pip install --quiet --editable '.[$(EXTRAS)]'
	@touch $@

demo: .venv/.ready
	$(BIN)/refmg reproduce example1 --output demo-output/example1
	$(BIN)/refmg reproduce resolution --preset small --output demo-output/resolution $(ARGS)

test: .venv/.ready
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto $(ARGS)

lint: .venv/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.venv/.bench: .venv/.ready
	$(BIN)/python -m pip install --quiet 'torch==2.13.0'
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	@touch $@

bench: .venv/.bench
	REFMG_BACKEND=numba $(BIN)/refmg bench --against torch --json validation/results/bench-cpu.json $(ARGS)

.venv/.docs: .venv/.ready
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	@touch $@

docs: .venv/.docs
	$(BIN)/sphinx-build -W --keep-going docs docs/_build

# What a GPU machine without network needs beside CuPy, NumPy and SciPy: run this where there is a network, and take the folder along.
GPU_PYTHON ?= 3.12
GPU_NEEDS := array-api-compat array-api-strict hypothesis iniconfig markdown-it-py mdurl packaging pluggy pygments pytest rich \
  safetensors shellingham sortedcontainers threadpoolctl typer matplotlib contourpy cycler fonttools kiwisolver pyparsing \
  python-dateutil six pillow pytest-xdist execnet typing-extensions annotated-doc mlxtend
.gpu-site:
	$(PYTHON) -m pip install --quiet --no-deps --target $@ --python-version $(GPU_PYTHON) --only-binary=:all: $(GPU_NEEDS)

# Without a GPU this stops at the first line, which says so; it never falls back to the CPU.
GPU_SOURCE := PYTHONPATH=.:backends:validation:.gpu-site
GPU := REFMG_BACKEND=cupy $(GPU_SOURCE) timeout 540 $(PYTHON) -m
gpu:
	@mkdir -p $(OUT)
	@$(GPU) refmg_validation info > $(OUT)/info.txt 2> $(OUT)/error.txt \
	  || { echo "make gpu: $$(tail -n 1 $(OUT)/error.txt)"; \
	  grep -q ModuleNotFoundError $(OUT)/error.txt && echo "run 'make .gpu-site' where there is a network, and take that folder along"; exit 2; }
	$(GPU_SOURCE) timeout 540 $(PYTHON) -m pytest -m gpu -W default tests/backends tests/refmg > $(OUT)/pytest.txt 2>&1; \
	  tail -n 1 $(OUT)/pytest.txt
	$(GPU) refmg_validation verify --json $(OUT)/verify.json > $(OUT)/verify.txt; tail -n 1 $(OUT)/verify.txt
	$(GPU) refmg_validation bench --against torch --json $(OUT)/bench-gpu.json > $(OUT)/bench.txt; \
	  tail -n 30 $(OUT)/bench.txt
	$(GPU) refmg_validation reproduce resolution --output $(OUT)/resolution

clean:
	rm -rf .venv .gpu-site demo-output docs/_build docs/api/generated build dist *.egg-info
