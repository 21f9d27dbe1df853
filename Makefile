# Two commands do all set-up: `make discharge` runs the main job, `make test` passes the tests.
# Both make what they need in $(VENV); `make help` lists the rest.

VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help discharge test check lint self faults bench peer oracle mutation fuzz harness cuda triton-36 teacher clean

help:  ## say what each target does
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /  make \1\t/' | expand -t 20

discharge: $(VENV)/.runtime  ## judge every bundled contract against the bundled model, on this machine
	$(BIN)/pv discharge

test: $(VENV)/.dev  ## run the tests
	$(BIN)/python -m pytest -q -n auto --dist loadfile --no-loadscope-reorder

check: $(VENV)/.dev lint self  ## everything that CI checks besides the tests

lint: $(VENV)/.dev  ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

self: $(VENV)/.dev  ## pv on its own contracts
	$(BIN)/pv validate
	$(BIN)/pv lint --strict-test-binding
	$(BIN)/pv evidence verify
	$(BIN)/pv gate model-1-ship --target cpu

faults: $(VENV)/.dev  ## which falsifier catches which seeded fault, on the CPU and under the interpreter (10 minutes)
	$(BIN)/pv challenge --all --at-least 90 --no-sensitivity --output-format markdown > falsifiers/FAULTS.md
	$(BIN)/pv challenge cuda-layers cuda-products FALSIFY-CUDA-MODEL-004 FALSIFY-CUDA-MODEL-006 --target cuda-interpreted \
	  --all --catalogue engine.faults.cuda --at-least 90 --no-sensitivity --output-format markdown > falsifiers/KERNEL_FAULTS.md

bench: $(VENV)/.dev  ## print the figures: quantiser error, tokens per second, what pv costs beside its goals
	$(BIN)/python -m engine.quant.rmse
	$(BIN)/q4k bench --teacher --backend cpu --backend reference --prompt-tokens 128 --context 0,256 --start-up
	$(BIN)/python tests/bench/startup.py
	$(BIN)/python tests/bench/lint.py
	$(BIN)/python tests/bench/discharge_overhead.py
	$(BIN)/python tests/bench/status.py

peer: $(VENV)/.dev build/llama-venv/.ready  ## the same figures beside llama.cpp, on synthetic models (builds it, 20 minutes)
	for size in 0.5b 1.5b 7b; do \
	  $(BIN)/q4k bench --synthetic qwen2.5-$$size --precision q8 --precision q16 --threads 2 --start-up \
	    --prompt-tokens 128,512 --context 128 --new-tokens 32 --peer build/llama-venv/bin/python || exit 1; \
	done

oracle: build/oracle-venv/.ready  ## token ids, logits and greedy text beside llama.cpp, prebuilt; SKIPPED (exit 77) if it is missing
	build/oracle-venv/bin/python tests/oracle/compare.py

mutation: $(VENV)/.dev  ## mutation score of the modules that decide results, standings and gates (10 minutes)
	$(PIP) --editable '.[mutation]'
	$(BIN)/python tests/mutation/run.py

fuzz: $(VENV)/.dev  ## a million damaged GGUF headers in 5 minutes on two cores, every byte changed, 25 planted bugs
	$(BIN)/python tests/harness/fuzz_gguf.py --planted
	$(BIN)/python tests/harness/fuzz_gguf.py --bytes
	$(BIN)/python tests/harness/fuzz_gguf.py --mutants 1000000 --within 300

harness: $(VENV)/.dev  ## kill discharges, break their disk, race them, change evidence bit by bit, in full (an hour)
	$(BIN)/python tests/harness/crash.py --kills 1000 --every --errors --stays --writers 16 --runs 100
	$(BIN)/python tests/harness/concurrency.py --rounds 3
	$(BIN)/python tests/harness/flips.py
	$(BIN)/python tests/harness/merges.py

cuda: $(VENV)/.dev  ## on a machine with a GPU: discharge the CUDA contracts and measure, in one call
	$(BIN)/python tests/bench/cuda/run.py

triton-36: build/triton-36/.ready  ## the CUDA kernels with triton 3.6: interpreted, and compiled for sm_80 and sm_90 (10 minutes)
	TRITON_INTERPRET=1 build/triton-36/bin/python -m pytest -q tests/engine/ops/cuda/interpreted
	build/triton-36/bin/python -m pytest -q tests/engine/ops/cuda/test_compiled.py tests/engine/ops/cuda/test_unavailable.py
	PV_TARGET=cuda-compiled build/triton-36/bin/python -m pytest -q falsifiers/engine/ops/cuda/test_cuda_machine.py falsifiers/engine/ops/cuda/test_cuda_overlap.py

teacher: $(VENV)/.dev  ## train, export and evaluate the bundled model again (about an hour on two cores)
	$(BIN)/python -m engine.teacher.train
	$(BIN)/python -m engine.teacher.export
	$(BIN)/python -m engine.teacher.evaluate

clean:  ## remove what the other targets made
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

build/llama-venv/.ready:
	$(PYTHON) -m venv build/llama-venv
	CMAKE_ARGS="-DGGML_NATIVE=ON -DLLAMA_BUILD_TOOLS=OFF -DLLAVA_BUILD=OFF" \
	  build/llama-venv/bin/pip install --no-binary llama-cpp-python llama-cpp-python==0.3.36
	touch $@

build/oracle-venv/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv build/oracle-venv
	build/oracle-venv/bin/pip install --quiet --constraint constraints.txt --editable '.[oracle]' || \
	  { echo "oracle: SKIPPED, nothing was compared: its packages cannot be installed here"; exit 77; }
	touch $@

build/triton-36/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv build/triton-36
	grep -v '^triton==' constraints.txt > build/triton-36/constraints.txt
	build/triton-36/bin/pip install --quiet --constraint build/triton-36/constraints.txt --editable . gguf hypothesis torch transformers
	build/triton-36/bin/pip install --quiet --no-deps triton==3.6.0
	touch $@

$(BIN)/python:
	@echo "making $(VENV) with $(PYTHON)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "pv needs Python 3.11 or newer; set PYTHON=..."; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing pv and engine (no torch, no triton) into $(VENV)"
	@$(PIP) --editable .
	@echo "compiling the CPU kernels, once for all runs"
	@for precision in f32 q16 q8; do \
	  $(BIN)/q4k run --teacher --precision $$precision --prompt "What is 2+2?" --max-tokens 2 > /dev/null || exit 1; \
	done
	@touch $@

# After the kernels are compiled: otherwise every process of the tests would compile them side by side.
$(VENV)/.dev: $(VENV)/.runtime
	@echo "installing pv, engine and the development tools into $(VENV)"
	@$(PIP) --editable '.[dev]'
	@touch $@
