"""Answer mistakes and faults as JSON: a sentence for a mistake, a reference alone for a fault.

What a client sent is never repeated: it may be long, or no text at all. The traceback of a fault
goes to the server's log under the reference that the client was given.
"""

import json
import logging
import secrets
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from pipeline.errors import (
    ConflictError,
    IllegalTransitionError,
    NotFoundError,
    ReadOnlyError,
    UnknownIdError,
    UnreachableError,
    UserError,
)
from pipeline.results.access.outages import is_away
from pipeline.web.api.refusals import check_keys, sentence, unknown_address
from pipeline.web.service.service import Service

_LOG = logging.getLogger("pipeline.web.api")

_UNREADABLE = (
    "The body cannot be read as JSON: it is no UTF-8, is nested too deep, or has a number of"
    " thousands of digits."
)

#: Seconds after which a client may ask again for what does not answer.
RETRY_AFTER = "10"

#: How the address of an event stream ends.
ENDLESS = "/events"

#: Faults of one request that are listed.
MOST = 20


class Problem(BaseModel):
    """Why a request was refused. ``reference`` finds a fault in the server's log."""

    detail: str = Field(description="A sentence: what is wrong, what is allowed.")
    reference: str | None = None


def problem(
    status: int, detail: str, reference: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer with a `Problem`, in ASCII: a client's broken text cannot break the answer."""
    body = json.dumps({"detail": detail, "reference": reference}, ensure_ascii=True)
    return Response(body, status, headers, "application/json")


def handle(app: FastAPI) -> None:
    """Teach ``app`` what to answer to every exception."""
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(UserError, _mistake)
    app.add_exception_handler(SQLAlchemyError, _database)
    app.add_exception_handler(UnknownIdError, _unknown)
    app.add_exception_handler(IllegalTransitionError, _conflict)
    app.add_exception_handler(Exception, _fault)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = error.errors()
    # A body of any other type is handed over as bytes, which are no object whatever they say.
    if faults[0]["loc"] == ("body",) and isinstance(faults[0].get("input"), bytes):
        return problem(422, "The body must be JSON: send it with Content-Type: application/json.")
    outside = [fault for fault in faults if fault["loc"][0] == "path"]
    if outside:  # an id of another shape is nobody's
        return problem(404, unknown_address(outside[0]))
    route = request.scope.get("route")
    sentences = [sentence(fault, route) for fault in faults[:MOST]]
    if len(faults) > MOST:
        sentences.append(f"and {len(faults) - MOST} more")
    return problem(422, "; ".join(sentences))


async def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 400:  # FastAPI's, of a body that Python's parser gave up on
        return problem(422, _UNREADABLE)
    return problem(error.status_code, str(error.detail), headers=error.headers)


class Elsewhere:
    """Answers what no route of the API does: no page that is mounted beside it shall.

    405 with what is allowed where an earlier one of ``routes`` takes another method, else 404.
    """

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        before = takewhile(lambda route: getattr(route, "app", None) is not self, self._routes)
        routes = list(before)
        takes = [
            method
            for method in ("GET", "POST")
            if any(r.matches({**scope, "method": method})[0] is Match.FULL for r in routes)
        ]
        head = "GET" in takes and not scope["path"].endswith(ENDLESS)
        allowed = ["GET", "HEAD", *takes[1:]] if head else takes
        if allowed:
            methods = ", ".join(allowed)
            answer = problem(405, f"This address takes {methods} only.", headers={"Allow": methods})
        else:
            answer = problem(404, "Nothing is at this address: see /api/docs.")
        await answer(scope, receive, send)


async def _mistake(_: Request, error: Exception) -> Response:
    if isinstance(error, NotFoundError):
        return problem(404, str(error))
    if isinstance(error, ReadOnlyError):
        return problem(403, str(error))
    if isinstance(error, UnreachableError):
        return problem(503, str(error), headers={"Retry-After": RETRY_AFTER})
    if isinstance(error, ConflictError):
        return problem(409, str(error), headers={"Location": error.at} if error.at else None)
    return problem(422, str(error))


async def _database(request: Request, error: Exception) -> Response:
    if is_away(error):  # the server's owner reads why
        return problem(
            503,
            "The database does not answer: try again in a few seconds.",
            headers={"Retry-After": RETRY_AFTER},
        )
    return await _fault(request, error)


async def _unknown(_: Request, error: Exception) -> Response:
    return problem(404, "Nothing has this id.")


async def _conflict(_: Request, error: Exception) -> Response:
    return problem(409, str(error))


async def _fault(request: Request, error: Exception) -> Response:
    reference = secrets.token_hex(8)
    _LOG.error("fault %s: %s %s", reference, request.method, request.url.path, exc_info=error)
    return problem(500, "Something went wrong here; the server's log tells what.", reference)


def section(service: Service, prefix: str, tag: str, *statuses: int) -> APIRouter:
    """Return a router whose routes refuse with ``statuses`` too, and what `rules` refuse."""
    looks, refusals = rules(service), described(*statuses)
    return APIRouter(prefix=prefix, tags=[tag], responses=refusals, dependencies=looks)


def rules(service: Service) -> list[Any]:
    """Return what is looked at before every route: who may change, and the keys of the address."""

    async def refuse_changes(request: Request) -> None:
        if service.read_only is not None and request.method not in ("GET", "HEAD"):
            raise ReadOnlyError(service.read_only)

    return [Depends(refuse_changes), Depends(check_keys)]


def described(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe refusals for the OpenAPI document; FastAPI need not look at one model 200 times."""
    same = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    return {
        status: ({"model": Problem} if status == 401 else same) | {"description": _MEANINGS[status]}
        for status in statuses
    }


_MEANINGS = {
    401: "The API token is missing or wrong.",
    403: "This server may only read.",
    404: "Nothing has this id.",
    408: "The body did not come in time.",
    409: "Its state does not allow it.",
    413: "The request is too large.",
    422: "The request is not one that can be made; it says what is allowed.",
    429: "Too many of these; Retry-After says when to try again.",
    503: "Something it needs does not answer at the moment; Retry-After says when to try again.",
}
