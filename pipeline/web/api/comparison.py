"""Route ``/api/compare``: configurations side by side."""

from typing import Annotated

from fastapi import APIRouter, Query

from pipeline.report.comparison import LEAST, MOST
from pipeline.web.api.problems import described, section
from pipeline.web.service.comparison import ComparisonAnswer
from pipeline.web.service.requests import ConfigurationId
from pipeline.web.service.service import Service

Ids = Annotated[
    list[ConfigurationId], Query(alias="id", description=f"{LEAST} to {MOST} of them, each once.")
]


def router(service: Service) -> APIRouter:
    """Return the route."""
    routes = section(service, "/api/compare", "configurations")

    @routes.get("", responses=described(401, 404, 409, 422, 503))
    def compare(ids: Ids) -> ComparisonAnswer:
        """Set two to six configurations side by side: figures, days in common, parameters."""
        return ComparisonAnswer.of(service.comparison.of(ids))

    return routes
