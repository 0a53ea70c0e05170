# make train    videos, video model, policy: the main job, with all its set-up
# make test     the whole test suite, with all its set-up
# make check    lint, format and types
# make docs     docs/reference.md and config/sros2/policy.xml, from the code
# make clean    removes the environment and what was built; videos, models and runs stay
# ROS=kilted or ROS=jazzy: with that ROS 2, beside the usual one of requirements/ros.txt, in an environment of its own
SHELL := /bin/bash
export ROS
suffix := $(addprefix -,$(ROS))
VENV := .venv$(suffix)
IN_ROS := $(VENV)/bin/in_ros
SOURCES := $(shell find msg action sim viper_lab viper_model viper_ros launch config resource -type f -not -name '*.pyc') package.xml CMakeLists.txt

.PHONY: train test test-learning check docs setup clean

train: setup
	@$(IN_ROS) viper train $(ARGS)

test: setup
	@$(IN_ROS) python -m pytest -n 2 --dist worksteal $(ARGS)

test-learning: setup
	@$(IN_ROS) python -m pytest -m learning $(ARGS)

check: setup
	@$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . && $(IN_ROS) mypy benchmarks sim viper_lab viper_model viper_ros

docs: setup
	@$(IN_ROS) python -m viper_ros.introspection.reference docs/reference.md
	@$(IN_ROS) python -m viper_ros.introspection.sros2_policy >config/sros2/policy.xml.new && mv config/sros2/policy.xml.new config/sros2/policy.xml

setup: $(VENV)/.built

$(VENV)/.packages: $(wildcard requirements/*.txt)
	@tools/setup.sh packages && touch $@

$(VENV)/.graphics: $(VENV)/.packages
	@tools/setup.sh graphics && touch $@

$(VENV)/.built: $(VENV)/.packages $(VENV)/.graphics tools/setup.sh $(SOURCES)
	@tools/setup.sh build && touch $@

clean:
	rm -rf .venv{,-*} build{,-*} install{,-*} log .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
