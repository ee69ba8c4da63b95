# make quickstart   train MAML and Meta-dropout on generated strokes, test both and compare them (4 to 13 minutes)
# make lint         check style, types, imports between rooms, and the prose of the pages (half a minute)
# make check        lint, and the tests that are not marked slow, fault, golden or nightly (about six minutes)
# make test         lint, and all tests that are not marked nightly (about seventeen minutes); CI runs it
# make docs         build the documentation site into site/; a broken link is an error (seconds)
# make wheel        build sdist and wheel, install the wheel and use it from another folder (two minutes)
# make nightly      lint and all tests, with fifty kills instead of the three of `make test` (about an hour)
# The times were measured on two idle cores; on slower ones, `make test` took twice as long.
# Each target first creates .venv if it is missing, which takes longer.
# PYTHON=python3.12 chooses the version of Python (3.11 to 3.13), TF=2.20 that of TensorFlow.

PYTHON ?= $(shell for v in 3.12 3.13 3.11; do python$$v -c '' 2>/dev/null && echo python$$v && exit; done; echo python3)
TF ?= 2.21
RUN = .venv/bin/python
PYTEST = $(RUN) -m pytest -q -n 2 --dist worksteal

.PHONY: quickstart lint check test nightly docs wheel env test-env

env:
	@$(PYTHON) setup_env.py --tensorflow $(TF)

test-env:
	@$(PYTHON) setup_env.py --tensorflow $(TF) --dev

quickstart: env
	@$(RUN) -m tf_metadrop quickstart

lint: test-env
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	.venv/bin/lint-imports
	$(RUN) -m tests.helpers.prose

check: lint
	$(PYTEST) -m "not slow and not fault and not golden and not nightly"

test: lint
	$(PYTEST) -m "not nightly" --durations=40

nightly: lint
	$(PYTEST) --kills=50 --durations=40

docs: test-env
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict

wheel: test-env
	bash .ci/wheel
