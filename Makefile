# Two commands do everything on a fresh machine, as root: `make up` and `make test`.
.DEFAULT_GOAL := help
.PHONY: help setup up down test lint unit bench

RUN := .venv/bin

help: ## Say what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: ## Install what this machine needs: packages (no service is started) and .venv
	@deploys/controller.sh

lint: setup ## Format, lint, types, layers
	$(RUN)/ruff format --check .
	$(RUN)/ruff check .
	$(RUN)/mypy
	$(RUN)/lint-imports

unit: setup ## The quick tests: everything that boots no node, under a minute
	$(RUN)/pytest -n 2 -m 'not nodes'

test: lint ## All the tests, on booted nodes too
	$(RUN)/pytest -n 2 -m 'not nodes'
	$(RUN)/pytest -m nodes
