"""What a server's owner decides and no client can change."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.config import StorageConfig


@dataclass(frozen=True)
class Settings:
    """Where results and candles lie, and how many jobs run at a time.

    Attributes
    ----------
    storage : StorageConfig
        Database and artifacts.
    store : str
        Folder of candles.
    concurrent : int
        Jobs that the queue runs at a time.
    """

    storage: StorageConfig
    store: str = "var/candles"
    concurrent: int = 1
