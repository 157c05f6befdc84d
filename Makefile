# The commands of this repository; CI calls only these. Everything they need is installed into .venv.
# A fresh machine needs Python 3.11 (with venv), a C and C++20 compiler and PyPI; nothing else.
SHELL  := bash
.SHELLFLAGS := -euo pipefail -c
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check -q
JOBS   ?= 2
# How many rounds `make crash` plays, how many seeds `make simulate`, how big `make bench` is (full or small), how many times the usual examples `make fuzz` tries.
ROUNDS  ?= 100
SEEDS   ?= 1000
SCALE   ?= full
TIMES   ?= 20
# How long `make chaos` hurts each cluster.
SECONDS_OF_CHAOS ?= 300

NATIVE_SOURCES := $(wildcard $(foreach folder,index/kernels server/grpc,$(folder)/src/*.cpp $(folder)/src/*.h))
TOOLS  := PATH="$(CURDIR)/$(BIN):$$PATH"

.DEFAULT_GOAL := help
.PHONY: help setup native check format test demo bench bench-vector bench-vector-server crash test-cluster compose-test helm-lint simulate chaos grow fuzz sanitize check-arm docs proto clean

help:  ## print this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 22

# --- set-up: one stamp for the packages, one for the extension ---------------------------------

$(BIN)/python:
	@echo "making $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make PYTHON=...")'
	@$(PYTHON) -m venv $(VENV)

# Editable: Python is read from the working tree, and the build leaves the extension in it.
$(VENV)/.packages: pyproject.toml $(wildcard clients/python/pyproject.toml) | $(BIN)/python
	@echo "installing packages into $(VENV) and compiling (a few minutes the first time)"
	@$(PIP) install --upgrade pip
	@$(PIP) install cmake ninja 'scikit-build-core>=0.11' 'nanobind>=2.9'
	@$(TOOLS) $(PIP) install --no-build-isolation -Cbuild-dir=build/dev --editable '.[dev]'
	@touch $@

$(VENV)/.native: $(NATIVE_SOURCES) CMakeLists.txt $(VENV)/.packages
	@$(TOOLS) cmake --build build/dev -j $(JOBS) > build/native.log || { cat build/native.log; exit 1; }
	@touch $@

setup: $(VENV)/.packages $(VENV)/.native  ## make .venv, install the project, build the extension

native:  ## build the extension in place (also in a .venv that was made by hand)
	@mkdir -p build
	@$(TOOLS) cmake -S . -B build/dev -G Ninja -DPython_EXECUTABLE=$(CURDIR)/$(BIN)/python \
	    -DCMAKE_BUILD_TYPE=Release > build/cmake.log || { cat build/cmake.log; exit 1; }
	@$(TOOLS) cmake --build build/dev -j $(JOBS)

# --- every day ---------------------------------------------------------------------------------

check: setup  ## format, lint, types, layers, C++ format, tidy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy -p weftdb
	@$(BIN)/lint-imports
	@$(BIN)/clang-format --dry-run -Werror $(NATIVE_SOURCES)
	@$(BIN)/python -m pytest -q -p no:cacheprovider tests/tidy

format:  ## write the formatting that `check` asks for
	@$(BIN)/ruff check --fix . || true
	@$(BIN)/ruff format .
	@$(BIN)/clang-format -i $(NATIVE_SOURCES)

test: setup  ## every test but those of several nodes, with the coverage of the Python code
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup -m "not cluster and not compose" --cov --cov-report=term:skip-covered tests

demo: setup  ## import, embed and search real documents through the official client
	@$(BIN)/python -m benchmarks.demo

# --- the long ones -----------------------------------------------------------------------------

$(VENV)/.bench: pyproject.toml $(VENV)/.packages
	@$(TOOLS) $(PIP) install --no-build-isolation -Cbuild-dir=build/dev --editable '.[dev,bench]'
	@touch $@

bench: setup $(VENV)/.bench  ## benchmarks beside hnswlib and tantivy; SCALE=small for a quick look
	@$(BIN)/python -m benchmarks --scale $(SCALE)

bench-vector: setup $(VENV)/.bench  ## the vector index beside hnswlib, faiss, usearch, in-process
	@$(BIN)/python -m benchmarks.vector_contest --scale $(SCALE) $(KEPT)

bench-vector-server: setup $(VENV)/.bench  ## 400k real vectors behind gRPC beside hnswlib in-process
	@$(BIN)/python -m benchmarks.vector_contest.server --scale $(SCALE)

crash: setup  ## ROUNDS times: write, SIGKILL, restart, check every acknowledged write
	@$(BIN)/python -m tests.crash --rounds $(ROUNDS)

test-cluster: setup  ## tests that start several nodes, or members of etcd (etcd must be on the PATH)
	@$(BIN)/python -m pytest -q -m cluster tests

compose-test: setup  ## build the image and run both compose files (Docker; root starts an engine where none runs)
	@$(BIN)/python -m pytest -q -s -m compose tests/compose

helm-lint:  ## check the chart, for one node and for three (helm must be on the PATH, or Go, which fetches it)
	@command -v helm > /dev/null || GOBIN=$(CURDIR)/build/bin go install helm.sh/helm/v3/cmd/helm@v3.16.4
	@export PATH="$(CURDIR)/build/bin:$$PATH"; helm lint --strict deploy/helm/weftdb
	@export PATH="$(CURDIR)/build/bin:$$PATH"; for replicas in 1 3; do 	    helm template weftdb deploy/helm/weftdb --set replicas=$$replicas > /dev/null; done
	@export PATH="$(CURDIR)/build/bin:$$PATH"; 	    ! helm template weftdb deploy/helm/weftdb --set replicas=2 > /dev/null 2>&1

simulate: setup  ## SEEDS times: a cluster under a seeded clock, network and disk, and its promises
	@$(BIN)/python -m tests.simulation --seeds $(SEEDS) --jobs $(JOBS)

chaos: setup  ## real clusters of 3 and 5 nodes under load: kill, pause, partition, skew, wipe (etcd; root for partitions); SAVE=NAME
	@$(BIN)/python -m tests.chaos.campaign --seconds $(SECONDS_OF_CHAOS) --save $(or $(SAVE),$(shell date +%F)-chaos-runs)

grow: setup  ## a real cluster of 3, 5 and 3 nodes under load, and lost nodes replaced (etcd)
	@$(BIN)/python -m tests.growth

fuzz: setup  ## property tests with many more examples
	@WEFTDB_FUZZ_TIMES=$(TIMES) $(BIN)/python -m pytest -q -n $(JOBS) tests/property

sanitize: setup  ## what touches native code under ASan+UBSan, then under TSan; a table at the end
	@$(BIN)/python -m tests.sanitize

ARM_CXX ?= aarch64-linux-gnu-g++
ARM_RUN ?= qemu-aarch64-static
ARM_OBJECTS = $(patsubst %.cpp,build/arm/%.o,$(shell grep -L nanobind index/kernels/src/*.cpp) tests/arm/check.cpp)

build/arm/%.o: %.cpp $(wildcard index/kernels/src/*.h)
	@mkdir -p $(@D)
	@$(ARM_CXX) -std=c++20 -O2 -Wall -Wextra -Werror -fno-math-errno -Iindex/kernels/src -c $< -o $@

# Debian has both tools: g++-aarch64-linux-gnu and qemu-user-static.
check-arm: $(ARM_OBJECTS)  ## NEON kernels and the native index on 64-bit ARM, cross-compiled and emulated
	@$(ARM_CXX) -static -pthread $^ -o build/arm/check
	@$(ARM_RUN) build/arm/check

docs: setup  ## build the documentation into site/, warnings are errors
	@$(BIN)/mkdocs build --strict

proto: setup  ## write the Python twins of proto/*/*.proto, and the client's copy of them
	@$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. weftdb/proto/v1/*.proto weftdb/proto/etcd/*.proto weftdb/proto/internode/*.proto
	@$(BIN)/python clients/python/copy_proto.py

clean:  ## remove what was built (not .venv)
	@rm -rf build dist site .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache index/kernels/_native* server/grpc/_session*
