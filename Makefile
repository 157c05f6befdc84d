# The commands of this repository; CI calls only these. Everything they need is installed into .venv.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: native
native:  ## build the extension in place (index/kernels/_native*.so)
	cmake -S . -B build/dev -G Ninja -DPython_EXECUTABLE=$(CURDIR)/$(BIN)/python -DCMAKE_BUILD_TYPE=Release >/dev/null
	cmake --build build/dev
	cp build/dev/_native*.so index/kernels/

.PHONY: proto
proto:  ## write the Python twins of proto/v1/*.proto
	$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. weftdb/proto/v1/*.proto
