"""The suites: one small file each, with NAME, FLAVOURS, prepare(), setup(run) and run(run)."""

import importlib
import pkgutil


def load():
    """Every suite by its name, in the order in which they run (quick ones first)."""
    found = [importlib.import_module(f"{__name__}.{item.name}") for item in pkgutil.iter_modules(__path__)]
    return {suite.NAME: suite for suite in sorted(found, key=lambda suite: (suite.ORDER, suite.NAME))}
