# make quickstart   train MAML and Meta-dropout on generated strokes, meta-test both and compare (about four minutes)
# make lint         style, types, and which room imports which (half a minute)
# make check        lint and the fast tests: none that are marked slow, fault, golden or nightly (under three minutes)
# make test         lint and every test but those marked nightly (under fifteen minutes); CI runs it
# make wheel        sdist and wheel; the wheel in an empty environment, used from another folder (two minutes)
# make nightly      lint and every test, with fifty kills where `make test` has three (about an hour)
# The times are of two cores that do nothing else, without the first making of .venv, which each of these does.
# PYTHON=python3.12 chooses the interpreter (3.11 to 3.13), TF=2.20 TensorFlow.

PYTHON ?= $(shell for v in 3.12 3.13 3.11; do python$$v -c '' 2>/dev/null && echo python$$v && exit; done; echo python3)
TF ?= 2.21
RUN = .venv/bin/python
PYTEST = $(RUN) -m pytest -q -n 2 --dist worksteal

.PHONY: quickstart lint check test nightly wheel env test-env

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

check: lint
	$(PYTEST) -m "not slow and not fault and not golden and not nightly"

test: lint
	$(PYTEST) -m "not nightly" --durations=40

nightly: lint
	$(PYTEST) --kills=50 --durations=40

wheel: test-env
	bash .ci/wheel
