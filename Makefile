# Two commands do everything on a fresh machine, as root: `make up` and `make test`.
.DEFAULT_GOAL := help
.PHONY: help root setup up down verify shell test lint unit bench

RUN := .venv/bin

help: ## Say what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: ## Install what this machine needs: packages (no service is started) and .venv
	@deploys/controller.sh

root:
	@[ "$$(id -u)" = 0 ] || { echo "make: this needs root" >&2; exit 1; }

# The lab's clone of its site; the example's, until there is one.
SITE := lab/site

up: export GROUNDPLANE_SOURCE = $(or $(wildcard $(SITE)),examples/lab)
up: root setup ## Build the lab of three nodes, deploy it, verify it, show it
	@$(RUN)/python -m deploys.lab preflight
	@$(RUN)/groundplane check $$GROUNDPLANE_SOURCE
	$(RUN)/python -m deploys.lab up
	$(RUN)/python -m deploys.lab site
	GROUNDPLANE_SOURCE=$(SITE) $(RUN)/pyinfra -y inventories/lab.py deploys/site.py examples/lab/workloads.py
	GROUNDPLANE_SOURCE=$(SITE) INVENTORY=inventories/lab.py $(RUN)/pytest -q -p no:cacheprovider tests/verify
	@GROUNDPLANE_SOURCE=$(SITE) $(RUN)/python -m deploys.lab tour
	@echo; echo "The lab is up. Its site is in $(SITE): edit, commit, git push."
	@echo "Next: make shell NODE=n1, make verify, make down."

down: root setup ## Remove every trace of the lab but its cached base tree
	$(RUN)/python -m deploys.lab down

INVENTORY ?= inventories/lab.py
verify: export GROUNDPLANE_SOURCE ?= $(or $(wildcard $(SITE)),examples/lab)
verify: setup ## Prove that the nodes of INVENTORY are as declared
	INVENTORY=$(INVENTORY) $(RUN)/pytest -p no:cacheprovider tests/verify

NODE ?= n1
shell: ## Open a shell on NODE of the lab
	@ip netns exec gp-lab ssh -F /var/lib/groundplane-gp-lab/ssh/config $(NODE)

lint: setup ## Format, lint, types, layers
	$(RUN)/ruff format --check .
	$(RUN)/ruff check .
	$(RUN)/mypy
	$(RUN)/lint-imports

# More workers than cores: kernel tests wait for what is dropped. A file stays with one worker, so that
# what its tests share is built once.
QUICK := $(RUN)/pytest -n 3 --dist loadfile -m 'not nodes and not vms and not slow'

unit: setup ## The quick tests: everything that boots no node, under a minute
	$(QUICK)

test: root lint ## All the tests, on booted nodes too
	HYPOTHESIS_PROFILE=thorough $(QUICK)
	$(RUN)/pytest -n 3 -m slow
	$(RUN)/pytest -m nodes

bench: root setup ## Load and change up to 50,000 services, beside nft in the same run
	$(RUN)/python -m bench.scale --yaml
