# Two commands do everything on a fresh machine, as root: `make up` and `make test`.
.DEFAULT_GOAL := help
.PHONY: help root setup stop up up-nspawn up-libvirt up-netns down down-nspawn down-libvirt down-netns site \
  verify shell shell-nspawn shell-libvirt shell-netns test vms lint unit bench soak

RUN := .venv/bin

# Tests start thousands of programs, and VMs translate every instruction: nothing is compiled twice.
unexport PYTHONDONTWRITEBYTECODE

help: ## Say what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: ## Install what this machine needs: packages (no service is started) and .venv
	@deploys/controller.sh

root:
	@[ "$$(id -u)" = 0 ] || { echo "make: this needs root" >&2; exit 1; }

# The lab's clone of its site; the example's, until there is one.
SITE := lab/site

# nspawn: booted nodes; libvirt: VMs on a hypervisor; netns: the dataplane and its agents alone.
LAB ?= nspawn
LABS := nspawn libvirt netns
$(if $(filter $(LAB),$(LABS)),,$(error LAB=$(LAB): there are $(LABS)))

# A catalog that the environment names; otherwise the lab's own, and at first the example's.
GIVEN := $(GROUNDPLANE_SOURCE)

up: export GROUNDPLANE_SOURCE = $(or $(GIVEN),$(wildcard $(SITE)),examples/lab)
up: root setup up-$(LAB) ## Build the lab of three nodes (or LAB=libvirt, LAB=netns), deploy it, verify it, show it

# Workloads of other catalogs do not run yet, so nothing answers.
VERIFY_EXAMPLE = ! $(RUN)/python -m groundplane_deploys.lab example || \
  INVENTORY=inventories/lab.py $(RUN)/pytest -q -p no:cacheprovider tests/verify

up-nspawn:
	@$(RUN)/python -m groundplane_deploys.lab preflight
	@$(RUN)/groundplane check $$GROUNDPLANE_SOURCE
	$(RUN)/python -m groundplane_deploys.lab up
	$(RUN)/python -m groundplane_deploys.lab site
	GROUNDPLANE_SOURCE=$(SITE) $(RUN)/pyinfra -y inventories/lab.py deploys/site.py examples/lab/workloads.py
	@export GROUNDPLANE_SOURCE=$(SITE); $(VERIFY_EXAMPLE)
	@GROUNDPLANE_SOURCE=$(SITE) $(RUN)/python -m groundplane_deploys.lab tour
	@echo; echo "The lab is up. Its site is in $(SITE): edit, commit, git push."
	@echo "Next: make shell NODE=n1, make verify, make down."

up-libvirt: export GROUNDPLANE_LAB = gp-vms
up-libvirt: export GROUNDPLANE_SOURCE = $(or $(GIVEN),examples/vms)
up-libvirt:
	@$(RUN)/python -m groundplane_deploys.lab preflight
	@$(RUN)/groundplane check $$GROUNDPLANE_SOURCE
	$(RUN)/python -m groundplane_deploys.lab up
	$(RUN)/pyinfra -y inventories/lab.py --limit hypervisors deploys/site.py
	$(RUN)/pyinfra -y inventories/lab.py --limit nodes deploys/site.py examples/lab/workloads.py
	@$(VERIFY_EXAMPLE)
	@$(RUN)/python -m groundplane_deploys.lab tour

up-netns:
	$(RUN)/python -m groundplane_deploys.lab.bare up
	@$(RUN)/python -m groundplane_deploys.lab.bare tour

stop: root setup ## Switch the lab off, its VMs saved as they run; make up goes on from there
	$(if $(filter libvirt,$(LAB)),GROUNDPLANE_LAB=gp-vms GROUNDPLANE_SOURCE=examples/vms,GROUNDPLANE_SOURCE=$(or $(wildcard $(SITE)),examples/lab)) $(RUN)/python -m groundplane_deploys.lab stop

down: root setup down-$(LAB) ## Remove every trace of the lab but its cached base tree

down-nspawn:
	$(RUN)/python -m groundplane_deploys.lab down

down-libvirt:
	GROUNDPLANE_LAB=gp-vms $(RUN)/python -m groundplane_deploys.lab down

down-netns:
	$(RUN)/python -m groundplane_deploys.lab.bare down

site: setup ## Deploy the site of INVENTORY: its hypervisors and VMs first, then its nodes
	@hosts=$$($(RUN)/groundplane inventory "$${GROUNDPLANE_SOURCE:-examples/lab}") || exit; \
	  case "$$hosts" in *" hypervisors"*) \
	    $(RUN)/pyinfra -y $(INVENTORY) --limit hypervisors deploys/site.py;; esac
	$(RUN)/pyinfra -y $(INVENTORY) --limit nodes deploys/site.py

INVENTORY ?= inventories/lab.py
REPORTS ?= reports
verify: export GROUNDPLANE_SOURCE ?= $(if $(filter libvirt,$(LAB)),examples/vms,$(or $(wildcard $(SITE)),examples/lab))
verify: export GROUNDPLANE_LAB ?= $(if $(filter libvirt,$(LAB)),gp-vms,gp-lab)
verify: setup ## Prove that the nodes of INVENTORY, or of the lab LAB, are as declared
	INVENTORY=$(INVENTORY) $(RUN)/pytest -p no:cacheprovider tests/verify \
	  --junitxml=$(REPORTS)/verify.xml --html=$(REPORTS)/verify.html

NODE ?= n1
shell: shell-$(LAB) ## Open a shell on NODE of the lab

shell-nspawn:
	@ip netns exec gp-lab ssh -F /var/lib/groundplane-gp-lab/ssh/config $(NODE)

shell-libvirt:
	@ip netns exec gp-vms ssh -F /var/lib/groundplane-gp-vms/ssh/config $(NODE)

shell-netns:
	@ip netns exec gp-netns-$(NODE) bash

lint: setup ## Format, lint, types, layers
	$(RUN)/ruff format --check .
	$(RUN)/ruff check .
	$(RUN)/mypy
	$(RUN)/lint-imports

unit: setup ## The quick tests: everything that boots no node
	$(RUN)/python -m tests.stages unit

test: root lint ## All the tests, on booted nodes and VMs too
	$(RUN)/python -m tests.stages

vms: root setup ## The tests of VMs that take longest, besides: images, cloud-init, VLANs, bonds, the lab itself
	$(RUN)/pytest -m 'vms and slow'

bench: root setup ## Load and change up to 50,000 services, beside nft in the same run
	$(RUN)/python -m bench.scale
	$(RUN)/python -m bench.changing

SOAK ?= 10
soak: root setup ## Run SOAK times as many restarts and changes as make test does, and print what they cost
	GROUNDPLANE_SOAK=$(SOAK) $(RUN)/pytest -s -v -p no:cacheprovider tests/kernel/test_living_restarts.py tests/kernel/test_living_storm.py
