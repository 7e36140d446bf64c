"""Where work is done: in this process, in processes of this machine, or on a Ray cluster."""

from pipeline.executors.base import Executor, TaskResult
from pipeline.executors.choice import make_executor

__all__ = ["Executor", "TaskResult", "make_executor"]
