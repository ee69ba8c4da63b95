# make quickstart   train MAML and Meta-dropout on generated strokes, meta-test both and compare (about six minutes)
# make test         ruff and all tests (fifteen to twenty minutes)
# Both make their own .venv first. PYTHON=python3.12 chooses the interpreter (3.11 to 3.13), TF=2.20 TensorFlow.

PYTHON ?= $(shell for v in 3.12 3.13 3.11; do python$$v -c '' 2>/dev/null && echo python$$v && exit; done; echo python3)
TF ?= 2.21
RUN = .venv/bin/python

.PHONY: quickstart test env test-env

env:
	@$(PYTHON) setup_env.py --tensorflow $(TF)

test-env:
	@$(PYTHON) setup_env.py --tensorflow $(TF) --dev

quickstart: env
	@$(RUN) quickstart.py

test: test-env
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m pytest -q -n 2 --dist worksteal --durations=120
