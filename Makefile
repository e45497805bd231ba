# Two commands matter: `make demo` and `make test`. Both set up what they need.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test setup setup-dev lint bench lock messages clean

demo: setup  ## set up, run everything, tell the stories; ONCE=1 stops afterwards
	$(BIN)/python manage.py demo $(if $(ONCE),--once)

test: setup-dev lint  ## everything that needs no server, on SQLite
	$(BIN)/python -m pytest $(if $(PYTEST_ARGS),$(PYTEST_ARGS),-n 2 --dist worksteal)

lint: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/python -m mypy closures accounts config
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py compile_catalogues --check

setup: $(VENV)/.installed
setup-dev: $(VENV)/.installed-dev

$(VENV)/.installed: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	touch $@

$(VENV)/.installed-dev: requirements-dev.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	touch $@ $(VENV)/.installed

bench: setup-dev  ## ratios, never pass or fail; needs PostgreSQL
	$(BIN)/python -m tests.benchmarks $(BENCH)

messages: setup-dev  ## collect and compile the Chinese catalogue
	$(BIN)/python manage.py compile_catalogues

lock:  ## requirements from pyproject.toml, with hashes; needs uv
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-emit-find-links --custom-compile-command "make lock" pyproject.toml -o requirements.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-emit-find-links --custom-compile-command "make lock" pyproject.toml --extra dev -o requirements-dev.txt

clean:
	rm -rf $(VENV) var staticfiles
