# Each target sets up what it needs in .venv, once. ARGS are passed on.
PYTHON ?= python3
BIN := .venv/bin
OUT ?= gpu-output
# EXTRAS=demo,test,torch adds the foreign witness.
EXTRAS ?= demo,test

.PHONY: help demo test oldest fuzz hardening lint bench docs mutation gpu clean
help:
	@echo "make demo   Example 1, then digits classified across resolutions (some minutes)"
	@echo "make test   the test suite"
	@echo "make lint   ruff and mypy"
	@echo "make bench  speed against a peer, recorded in validation/results"
	@echo "make docs   the documentation, in docs/_build"
	@echo "make mutation  changes in the core modules that no test notices (most of an hour; MODULES=refmg/rational.py for one)"
	@echo "make fuzz   a hundred thousand changed and hostile inputs for every reader, recorded (half an hour)"
	@echo "make hardening  kill -9, limited files and a full disk for every command that writes, recorded"
	@echo "make oldest the tests with the oldest releases that setup.cfg allows"
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

# The oldest releases that setup.cfg allows, in a folder of its own: OLDEST_TESTS= names some. Their own deprecations are no errors.
OLDEST_PYTHON ?= python3.11
OLDEST_TESTS ?=
.venv-oldest/.ready: setup.cfg tests/support/oldest.py
	$(OLDEST_PYTHON) -m venv .venv-oldest
	$(OLDEST_PYTHON) tests/support/oldest.py setup.cfg > .venv-oldest/pins.txt
	.venv-oldest/bin/python -m pip install --quiet --requirement .venv-oldest/pins.txt
	@touch $@

oldest: .venv-oldest/.ready
	PYTHONPATH=.:backends:validation OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 \
	  .venv-oldest/bin/python -m pytest -W default $(OLDEST_TESTS) $(ARGS)

DRIVER := PYTHONPATH=.:backends:validation:tests/support OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m
fuzz: .venv/.ready
	$(DRIVER) fuzzing --json validation/results/fuzz.json $(ARGS)

hardening: .venv/.ready
	$(DRIVER) hardening --json validation/results/hardening.json $(ARGS)

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

.venv/.mutation: .venv/.ready
	$(BIN)/python -m pip install --quiet 'cosmic-ray>=8.4'
	@touch $@

# On a copy in build/mutation: an interrupted run leaves no mutant here.
MODULES ?=
mutation: .venv/.mutation
	$(BIN)/python tests/support/mutation_run.py validation/results/mutation.json $(MODULES)

# What a GPU machine without network needs beside CuPy 14 and NumPy: run this where there is a network, and take the folder along.
# GPU_NEEDS='array-api-compat array-api-strict mlxtend' is enough where the rest is there.
GPU_PYTHON ?= 3.12
GPU_NEEDS ?= array-api-compat array-api-strict hypothesis iniconfig jinja2 markdown-it-py markupsafe mdurl packaging pluggy pygments pytest rich \
  safetensors scipy shellingham sortedcontainers threadpoolctl typer matplotlib contourpy cycler fonttools kiwisolver pyparsing \
  python-dateutil six pillow pytest-xdist execnet typing-extensions annotated-doc mlxtend
.gpu-site:
	$(PYTHON) -m pip install --quiet --no-deps --target $@ --python-version $(GPU_PYTHON) --only-binary=:all: $(GPU_NEEDS)

# Everything that needs a GPU, from source. Without one the first step stops it with status 2; it never falls back to the CPU. The
# other steps do not depend on each other: one that fails does not stop the next, and the status at the end says so.
# OUT gets 8 files. GPU_BACKEND=adversarial-numpy GPU_TESTS= GPU_BENCH=--quick
# GPU_RESNET='--quick --size 32 --batch 8 --no-compile' tries the commands on a CPU.
GPU_BACKEND ?= cupy
GPU_TESTS ?= -m gpu
GPU_FILES := tests/backends/test_backend_kernels.py tests/backends/test_backend_batches.py tests/backends/test_on_gpu.py \
  tests/backends/test_host_reads.py tests/backends/test_descent.py tests/backends/test_pooling.py tests/refmg/control/test_readout.py \
  tests/refmg/test_convolution.py tests/refmg/test_convolution_types.py tests/refmg/test_network_transfer.py tests/refmg/test_training.py \
  tests/refmg/control/test_classifier_point.py tests/refmg/control/test_multiscale.py tests/refmg/control/test_sensitivities.py \
  tests/refmg/multilevel/test_descent.py tests/refmg/multilevel/test_time.py tests/validation/conformance/test_adapters.py \
  tests/validation/test_imagenet10.py tests/validation/test_imagenet10_numbers.py tests/backends/test_normalization.py \
  tests/refmg/resnet/test_architecture.py tests/refmg/resnet/test_batch_norm.py tests/refmg/resnet/test_passes.py \
  tests/refmg/resnet/test_pooling.py tests/refmg/resnet/test_statistics.py tests/refmg/resnet/test_torch_witness.py \
  tests/refmg/resnet/test_training.py tests/refmg/resnet/test_transfer.py
GPU_BENCH ?=
GPU_RESNET ?=
GPU_WORK ?= build/gpu
GPU_STEPS := tests verify conformance bench-mnist bench-resnet bench-tf32 resnet34 resnet34-mixed resolution
GPU_PATH ?= .:backends:validation:.gpu-site
# The peer is PyTorch where it can be imported; the log says which it was.
GPU_AGAINST ?= $(shell PYTHONPATH=$(GPU_PATH) $(PYTHON) -c "import torch" 2> /dev/null && echo --against torch)
GPU_PEER = $(if $(strip $(GPU_AGAINST)),GPU_AGAINST=$(GPU_AGAINST),no peer: PyTorch cannot be imported or GPU_AGAINST is empty)
GPU_RUN := PYTHONPATH=$(GPU_PATH) timeout 540 $(PYTHON) -m
GPU_REFMG := REFMG_BACKEND=$(GPU_BACKEND) $(GPU_RUN) refmg_validation
# A recipe line that names MAKE itself is run by make -n as well.
GPU_MAKE = $(MAKE)
GPU_TIME = $(GPU_REFMG) bench $(GPU_AGAINST) $(GPU_BENCH)

.PHONY: $(GPU_STEPS:%=gpu-%) gpu-folders
gpu:
	@rm -rf $(GPU_WORK); mkdir -p $(OUT) $(GPU_WORK)
	@$(GPU_REFMG) info > $(OUT)/log.txt 2> $(GPU_WORK)/error.txt \
	  || { last=$$(tail -n 1 $(GPU_WORK)/error.txt); case "$$last" in *"No module named '"*) \
	    missing=$$(echo "$$last" | sed "s/.*No module named '\([^']*\)'.*/\1/"); [ "$$missing" = cupy ] && echo "make gpu: $$last" || \
	    echo "make gpu: $(PYTHON): No module named '$$missing'; run 'make .gpu-site' where there is a network and bring that folder, or choose another PYTHON=";; \
	    *) echo "make gpu: $$last";; esac; exit 2; }
	@echo "benchmarks: $(GPU_PEER)" >> $(OUT)/log.txt
	@failed=; for step in $(GPU_STEPS); do \
	  $(GPU_MAKE) --no-print-directory gpu-$$step > $(GPU_WORK)/step.txt 2>&1 && state=done || { state=FAILED; failed="$$failed $$step"; }; \
	  { echo; echo "== $$step: $$state"; tail -n 3000 $(GPU_WORK)/step.txt; } >> $(OUT)/log.txt; \
	  echo "== $$step: $$state"; tail -n 12 $(GPU_WORK)/step.txt; done; \
	  if [ -n "$$failed" ]; then echo "make gpu: failed:$$failed; see $(OUT)/log.txt"; exit 1; fi

# Figure 3 and Table 1, which take hours: in pieces of eight minutes, each of which goes on where the last one stopped.
# make gpu-imagenet10 GPU_DATA=DIR GPU_PRESET=paper GPU_SPLITS=5
GPU_PRESET ?= paper
GPU_SPLITS ?= 5
.PHONY: gpu-imagenet10
gpu-imagenet10:
	@test -n "$(GPU_DATA)" || { echo "make gpu-imagenet10: expected GPU_DATA=DIR with tars or folders of photographs"; exit 2; }
	$(GPU_REFMG) reproduce imagenet10 --preset $(GPU_PRESET) --data $(GPU_DATA) --splits $(GPU_SPLITS) --time-limit 8 \
	  --output $(OUT)/imagenet10

# Each step alone: make gpu-tests, make gpu-verify and so on. None takes more than nine minutes.
$(GPU_STEPS:%=gpu-%): gpu-folders
gpu-folders:
	@mkdir -p $(OUT) $(GPU_WORK)
gpu-tests:
	$(GPU_RUN) pytest -q $(GPU_TESTS) -W default -p no:cacheprovider $(GPU_FILES)
gpu-verify:
	$(GPU_REFMG) verify --json $(OUT)/verify.json
# The tables go into the log, where the eight files leave no room for two more.
gpu-conformance:
	$(GPU_REFMG) conformance run refmg_validation.adapters.backends --json $(GPU_WORK)/conformance-float64.json
	$(GPU_REFMG) conformance run refmg_validation.adapters.backends --dtype float32 --json $(GPU_WORK)/conformance-float32.json
gpu-bench-mnist:
	$(GPU_TIME) --shapes mnist --json $(GPU_WORK)/bench-mnist.json
	cp $(GPU_WORK)/bench-mnist.json $(OUT)
gpu-bench-resnet:
	$(GPU_TIME) --shapes resnet --json $(GPU_WORK)/bench-resnet.json
	cp $(GPU_WORK)/bench-resnet.json $(OUT)
gpu-bench-tf32:
	REFMG_TF32=1 $(GPU_TIME) --shapes resnet --json $(GPU_WORK)/bench-tf32.json
	cp $(GPU_WORK)/bench-tf32.json $(OUT)
# A training step of the whole ResNet-34, and its share of what the machine can do.
GPU_STEP = REFMG_BACKEND=$(GPU_BACKEND) $(GPU_RUN) refmg_validation.bench.resnet_study $(GPU_AGAINST) $(GPU_RESNET)
gpu-resnet34:
	$(GPU_STEP) --json $(OUT)/resnet34.json
# Its table goes into the log.
gpu-resnet34-mixed:
	$(GPU_STEP) --precision mixed
gpu-resolution:
	$(GPU_REFMG) reproduce resolution --output $(GPU_WORK)/resolution
	cp $(GPU_WORK)/resolution/resolution.json $(GPU_WORK)/resolution/resolution.png $(OUT)

clean:
	rm -rf .venv .venv-oldest .gpu-site demo-output docs/_build docs/api/generated build dist *.egg-info
