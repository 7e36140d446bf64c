"""Let Hydra compose in two thirds of the time: the same result, hundreds of times a test run.

Its own files are read once a process, and what OmegaConf says of a value is copied at once: most of
it are types, words and flags, which `copy.deepcopy` would look at one by one.
"""

import copy
import pickle

from hydra._internal.core_plugins.importlib_resources_config_source import (
    ImportlibResourcesConfigSource,
)
from hydra._internal.core_plugins.structured_config_source import StructuredConfigSource
from omegaconf.base import Metadata


def hasten():
    """Change it for this process."""
    for source in (ImportlibResourcesConfigSource, StructuredConfigSource):
        source.load_config = _once(source.load_config)
    Metadata.__deepcopy__ = _copied


def _once(load):
    kept = {}

    def loaded(source, config_path):
        key = source.provider, source.path, config_path
        if key not in kept:
            kept[key] = pickle.dumps(load(source, config_path))
        return pickle.loads(kept[key])

    return loaded


def _copied(metadata, memo):
    new = object.__new__(type(metadata))
    new.__dict__ |= metadata.__dict__
    new.flags = None if metadata.flags is None else dict(metadata.flags)
    new.resolver_cache = copy.deepcopy(metadata.resolver_cache, memo)
    return new
