# make demo: trains the digits on real data. make test: everything that proves expcore. Both set up by themselves.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
JOBS   ?= 2
export TF_CPP_MIN_LOG_LEVEL ?= 2

.PHONY: setup demo test check lint fast bench campaign clean

setup: $(READY)

$(READY): pyproject.toml tools/make_venv.sh
	sh tools/make_venv.sh "$(PYTHON)" "$(VENV)"
	@# The filter keeps a page of setuptools about editable installations from being the first thing one reads.
	PYTHONWARNINGS='ignore:Editable installation' $(BIN)/python -m pip install --quiet -e '.[test]'
	touch $@

demo: $(READY)
	$(BIN)/python examples/digits/demo.py

check: $(READY) lint fast

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fast: $(READY)
	$(BIN)/python -m pytest -q -m "not tf and not e2e and not proof" -n $(JOBS) --dist loadfile

test: $(READY) lint
	$(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile

# Makes environments of its own in .bench; measures for most of an hour, so leave the machine alone meanwhile.
bench:
	$(PYTHON) -m benchmarks

# Hours: kills processes of clusters in 200 random orders, disturbs their networks, and writes what came of it
# into docs/. Cut short, it goes on from kill-orders.jsonl and networks.jsonl; remove them to begin anew.
campaign: $(READY)
	$(BIN)/python tests/campaigns/kill_orders.py --orders 200 --seed 1 --results kill-orders.jsonl \
		--output docs/kill-orders.md
	EXPCORE_LONG=1 $(BIN)/python -m pytest -q tests/plugins/cluster/test_like_one_process.py \
		tests/e2e/test_clusters.py
	$(BIN)/python tests/campaigns/networks.py --rounds 5 --results networks.jsonl \
		--output docs/networks.md

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis runs
