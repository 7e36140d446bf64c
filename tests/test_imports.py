"""Imports flow one way, and stand at the top of their file unless something heavy hangs on them.

A command imports what works inside its functions: it checks its configuration before.
"""

import ast
import re
from functools import cache
from graphlib import CycleError, TopologicalSorter

import pytest

from support.source_tree import modules, own_imports, parsed

MODULES = modules()

#: Folders from the bottom up: a module imports from its own folder and from those before it.
LAYERS = (
    "gpu_engine",
    "pipeline.errors",
    "pipeline.strategies",
    "pipeline.config",
    "pipeline.cli",
    "pipeline.executors",
    "pipeline.market_data",
    "pipeline.search",
    "pipeline.causality",
    "pipeline.validation",
    "pipeline.results.damage",
    "pipeline.results.jsonable",
    "pipeline.results.records",
    "pipeline.results.tables",
    "pipeline.results.access",
    "pipeline.results.rows",
    "pipeline.results.artifacts",
    "pipeline.results.document",
    "pipeline.results",
    "pipeline.training",
    "pipeline.review",
    "pipeline.live",
    "pipeline.bots",
    "pipeline.notices",
    "pipeline.estimate",
    "pipeline.sweeps",
    "pipeline.queue",
    "pipeline.report",
    "pipeline.web.service",
    "pipeline.web.api",
    "pipeline.web.studio",
    "pipeline.web",
    "pipeline.studies",
    "pipeline.lab",
)

#: Modules whose import is put off until they are needed, because something heavy hangs on them.
LAZY = {
    "gpu_engine.device": "NumPy",
    "gpu_engine.records": "NumPy",
    "pipeline.config.compositions": "Hydra",
    "pipeline.config.refusals": "Hydra",
    "pipeline.config.settings": "Hydra",
    "pipeline.config.strategy_choice": "Hydra",
    "pipeline.strategies.declaration": "NumPy",
    "pipeline.strategies.own_code": "NumPy",
    "pipeline.strategies.registry": "NumPy",
    "pipeline.executors.ray_cluster": "Ray",
    "pipeline.market_data.exchange.connection": "ccxt",
    "pipeline.market_data.exchange.fetching": "ccxt",
    "pipeline.market_data.exchange.funding": "ccxt",
    "pipeline.market_data.files.reading": "pandas",
    "pipeline.search.bayesian": "Optuna",
    "pipeline.validation.statistics": "scipy.stats",
    "pipeline.results.database": "SQLAlchemy",
    "pipeline.web.server": "FastAPI and NiceGUI",
}


@cache
def _imports(module):
    """Our modules that a module imports, anywhere in its file."""
    return {*own_imports(parsed(MODULES[module]), MODULES)}


def _hidden(module):
    """Our modules imported inside the module's functions."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    bodies = [node for node in ast.walk(parsed(MODULES[module])) if isinstance(node, functions)]
    return {name for body in bodies for name in own_imports(body, MODULES)}


def _layer(module):
    """Position from the bottom, of the longest name that fits; a command is on top."""
    names = [name for name in LAYERS if f"{module}.".startswith(f"{name}.")]
    if names:
        return LAYERS.index(max(names, key=len))
    if module == "pipeline":  # holds the version alone
        return -1
    assert re.fullmatch(r"pipeline\.\w+", module), f"{module} has no layer"
    return len(LAYERS)


def test_a_module_imports_nothing_above_it():
    edges = {(name, other) for name in MODULES for other in _imports(name)}
    above = {edge for edge in edges if _layer(edge[1]) > _layer(edge[0])}
    assert not {edge for edge in above if edge[0] != "pipeline"}


def test_there_is_no_cycle():
    graph = {module: set(_imports(module)) - {module} for module in MODULES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def _commands():
    on_top = {name for name in MODULES if _layer(name) == len(LAYERS)}
    return on_top | {"pipeline.report.__main__", "pipeline.notices.__main__"}


def test_only_heavy_modules_are_imported_inside_functions():
    hidden = {(name, other) for name in MODULES.keys() - _commands() for other in _hidden(name)}
    assert not {edge for edge in hidden if edge[1] not in LAZY}


def test_no_command_imports_another():
    commands = _commands()
    edges = {(name, other) for name in commands for other in _imports(name)}
    assert not [edge for edge in edges if edge[1] in commands - {edge[0]}]


def test_every_folder_has_a_layer():
    packages = [name for name, path in MODULES.items() if path.name == "__init__.py"]
    assert all(_layer(name) < len(LAYERS) for name in packages)


def test_the_engine_knows_nothing_of_the_pipeline():
    for module in MODULES:
        if module.startswith("gpu_engine"):
            assert not any(name.startswith("pipeline") for name in _imports(module))
