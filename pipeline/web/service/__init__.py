"""What may be asked of the system, once for all who ask: REST API, Strategy Studio, commands.

Requests are Pydantic models with bounds, answers are records and models; nothing here knows HTTP.
"""

from pipeline.errors import ConflictError, NotFoundError
from pipeline.web.service.answers import (
    ActiveConfigurations,
    Choices,
    ConfigurationPage,
    EstimateAnswer,
    JobPage,
    JobResults,
    JobView,
    MarketEstimate,
)
from pipeline.web.service.requests import (
    Budget,
    ConfigurationQuery,
    ExecutionReport,
    HeatmapQuery,
    TrainingRequest,
)
from pipeline.web.service.service import Service, Settings

__all__ = [
    "ActiveConfigurations",
    "Budget",
    "Choices",
    "ConfigurationPage",
    "ConfigurationQuery",
    "ConflictError",
    "EstimateAnswer",
    "ExecutionReport",
    "HeatmapQuery",
    "JobPage",
    "JobResults",
    "JobView",
    "MarketEstimate",
    "NotFoundError",
    "Service",
    "Settings",
    "TrainingRequest",
]
