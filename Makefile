# Two commands: `make run` serves the platform, `make test` tests it. Each sets up everything it needs.
# Variables for `make run`: PORT, HOST, DATA_DIR, DEMO=1, DATABASE_URL, REDIS_URL … (.env.example lists them all).

.DEFAULT_GOAL := help
.PHONY: help run example test lint audit secrets-baseline format requirements bench clean environment environment-dev

# The first of these that is Python 3.11 or newer; PYTHON=/path/to/python chooses another.
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3 python; do \
	if $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then echo $$name; exit; fi; done)
BIN := .venv/bin
SOURCES := config core costs experiments slas alerts compliance backups clients benchmarks scripts manage.py conftest.py
# A complete, invented production configuration: the checks look at it, nothing connects to anything.
PRODUCTION := env -i PATH="$$PATH" ENV_FILE=/dev/null DATA_DIR="$(CURDIR)/build/check" ENVIRONMENT=production \
	SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(64))') ALLOWED_HOSTS=af.example.com \
	ENCRYPTION_KEYS=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(64))') \
	DATABASE_URL=postgres://af@database.example.com/af REDIS_URL=redis://redis.example.com BEHIND_TLS_PROXY=true
SECRETS := git ls-files -z -- ':!.secrets.baseline' | xargs -0 $(BIN)/detect-secrets-hook --baseline build/secrets.baseline
PLAIN := env -i PATH="$$PATH" HOME="$$HOME" ENV_FILE=/dev/null DATA_DIR="$(CURDIR)/build/check"

help:  ## show what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | while IFS="$$(printf '\t')" read -r name text; \
		do printf '  make %-17s %s\n' "$$name" "$$text"; done

environment:
	@if [ -z "$(PYTHON)" ]; then echo "Python 3.11 or newer is needed and was not found; name it with PYTHON=/path/to/python3" >&2; exit 1; fi
	@$(PYTHON) scripts/bootstrap.py

environment-dev:
	@if [ -z "$(PYTHON)" ]; then echo "Python 3.11 or newer is needed and was not found; name it with PYTHON=/path/to/python3" >&2; exit 1; fi
	@$(PYTHON) scripts/bootstrap.py --dev

run: environment  ## serve the platform at http://127.0.0.1:8000 (DEMO=1 adds demonstration data)
	@exec $(BIN)/python manage.py up $(if $(filter-out 0 false no,$(DEMO)),--demo)

test: environment-dev  ## run the whole suite on SQLite, and on PostgreSQL with Redis when there are any
	@$(BIN)/python -m scripts.run_tests $(ARGS)

lint: environment-dev  ## run every gate that is not a test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(PLAIN) $(BIN)/mypy $(wildcard $(SOURCES))
	$(PLAIN) $(BIN)/python manage.py makemigrations --check --dry-run
	$(PRODUCTION) $(BIN)/python manage.py check --deploy --fail-level WARNING
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml $(wildcard $(SOURCES))
	@# Against a copy: the first look brings its line numbers up to date, the second decides.
	@mkdir -p build && cp .secrets.baseline build/secrets.baseline
	$(SECRETS) >/dev/null || $(SECRETS)
	$(BIN)/zizmor --offline --quiet .github

audit: environment-dev  ## look up known vulnerabilities of every pinned package, and count that none was skipped
	$(BIN)/python -m scripts.audit

secrets-baseline: environment-dev  ## accept what the scan for secrets finds; read the difference before committing it
	$(BIN)/detect-secrets scan --baseline .secrets.baseline

format: environment-dev  ## bring the code into its format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

requirements: environment-dev  ## pin again what requirements*.in name, with hashes, for every Python and system
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --quiet \
		requirements.in -o requirements.txt
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --quiet \
		requirements-dev.in -o requirements-dev.txt

example: environment  ## run an example agent against the platform that runs here (PORT as for run)
	@key=$$($(BIN)/python manage.py apikey create "example agent" --entity agent:example --scope costs:write \
		--scope costs:read --scope budgets:read --scope budgets:write) && \
		AGENT_FACTORY_URL="http://$${HOST:-127.0.0.1}:$${PORT:-8000}" AGENT_FACTORY_KEY="$$key" \
		AGENT_FACTORY_SPOOL="$${DATA_DIR:-data}/example" $(BIN)/python clients/python/example_agent.py $(ARGS)

bench: environment-dev  ## measure, and print ratios of one run
	@$(BIN)/python -m benchmarks $(ARGS)

clean:  ## remove what was built; DATA_DIR stays
	rm -rf .venv build frontend-tests/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
