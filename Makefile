# make train    videos, video model, policy: the main job, with all its set-up
# make test     the whole test suite, with all its set-up
# make check    lint, format and types
# make docs     docs/reference.md and config/sros2/policy.xml, from the code
# make clean    leaves no trace
SHELL := /bin/bash
IN_ROS := .venv/bin/in_ros
SOURCES := $(shell find msg sim viper_lab viper_model viper_ros launch config resource -type f -not -name '*.pyc') package.xml CMakeLists.txt

.PHONY: train test test-learning check docs setup clean

train: setup
	@$(IN_ROS) viper train $(ARGS)

test: setup
	@$(IN_ROS) python -m pytest $(ARGS)

test-learning: setup
	@$(IN_ROS) python -m pytest -m learning $(ARGS)

check: setup
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && $(IN_ROS) mypy sim viper_lab viper_model viper_ros

docs: setup
	@$(IN_ROS) python -m viper_ros.introspection.reference docs/reference.md
	@$(IN_ROS) python -m viper_ros.introspection.sros2_policy >config/sros2/policy.xml.new && mv config/sros2/policy.xml.new config/sros2/policy.xml

setup: .venv/.built

.venv/.packages: requirements/pip.txt requirements/python.txt requirements/python-no-deps.txt requirements/ros.txt requirements/dev.txt requirements/rerun.txt requirements/gymnasium.txt
	@tools/setup.sh packages && touch $@

.venv/.graphics: .venv/.packages
	@tools/setup.sh graphics && touch $@

.venv/.built: .venv/.packages .venv/.graphics tools/setup.sh $(SOURCES)
	@tools/setup.sh build && touch $@

clean:
	rm -rf .venv build install log runs data models .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
