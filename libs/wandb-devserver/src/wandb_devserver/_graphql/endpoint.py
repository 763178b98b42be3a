"""HTTP endpoint `POST /graphql`."""

from __future__ import annotations

import logging
import re
import sqlite3
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from anyio.to_thread import run_sync
from graphql import DocumentNode, ExecutionResult, GraphQLError, OperationType, execute_sync, get_operation_ast, parse
from graphql import validate as validate_document
from starlette.responses import JSONResponse, Response

from wandb_devserver._complexity import TooComplexError
from wandb_devserver._domain.limits import LimitError
from wandb_devserver._errors import DevServerError, UsageError
from wandb_devserver._frames import call_in_one_chunk
from wandb_devserver._graphql.context import AgentGoneError, Context, SlowWork, UnsupportedError
from wandb_devserver._graphql.schema import schema
from wandb_devserver._http.body import read_json_body
from wandb_devserver._http.fault_responses import respond
from wandb_devserver._json import JsonObject, dumps_strict, loads_request

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from wandb_devserver._backend import Backend
    from wandb_devserver._storage.database import Database
    from wandb_devserver._testing.faults import Fault

logger = logging.getLogger("wandb_devserver")

# Validation takes time in the square of these. The largest document of the SDK has some 700 words.
_MAX_WORDS = 4000
_MAX_LENGTH = 64 * 1024
_WORD = re.compile(r"\w+")
_OPERATION = re.compile(r"\b(?:query|mutation)\s+(\w+)")


async def graphql(request: Request) -> Response:
    """Execute one operation in one transaction."""
    backend: Backend = request.app.state.backend
    body = await read_json_body(request)
    try:
        content = await run_sync(loads_request, body)
    except TooComplexError as error:
        return _errors(413, [{"message": str(error)}])
    except UsageError as error:
        return _errors(400, [{"message": str(error)}])
    query = content.get("query")
    if not isinstance(query, str):
        return _errors(400, [{"message": "the body is not a JSON object with a 'query'"}])
    named = _OPERATION.search(query)
    # The SDK sends an empty operationName for "none".
    operation = str(content.get("operationName") or (named[1] if named else "") or "anonymous")

    async def serve(fault: Fault | None) -> Response:
        return await run_sync(_serve, backend, request, content, operation, bool(fault and fault.wrong_md5))

    return await respond(backend, "graphql", serve, operation=operation)


class _UndoneError(Exception):
    """Carries the result of a mutation out of the transaction that must not be kept."""

    def __init__(self, result: ExecutionResult) -> None:
        super().__init__()
        self.result = result


def _serve(backend: Backend, request: Request, content: JsonObject, operation: str, wrong_md5: bool) -> Response:
    document, errors = _parse(str(content["query"]))
    ast = get_operation_ast(document, _named(content)) if document else None
    if document is None or ast is None or errors:
        return _refused(operation, errors or [GraphQLError(f"Unknown operation named {operation!r}.")])
    make_context = partial(
        Context, backend, base_url=str(request.base_url), writer=_writer(request), wrong_md5=wrong_md5
    )
    try:
        result, context = _transact(backend.database, document, ast.operation, content, make_context)
    except _UndoneError as undone:
        return _respond(operation, undone.result)
    except DevServerError as error:
        # What was done outside of the transaction.
        return _refused(operation, [GraphQLError(str(error))])
    except sqlite3.OperationalError as error:
        logger.exception("%s: the database is unavailable", operation)
        return Response(f"database: {error}", 503, {"Retry-After": "1"})
    for blob in context.unused_blobs:
        backend.blobs.remove(blob)
    return _respond(operation, result)


def _transact(
    database: Database, document: DocumentNode, kind: OperationType, content: JsonObject, make: Callable[..., Context]
) -> tuple[ExecutionResult, Context]:
    transaction = database.write if kind is OperationType.MUTATION else database.read

    def attempt(computed: JsonObject | None) -> tuple[ExecutionResult, Context]:
        with transaction() as connection:
            context = make(connection=connection, computed=computed)
            try:
                return _execute(document, content, context), context
            except BaseException:
                for blob in context.new_blobs:
                    context.backend.blobs.remove(blob)
                raise

    try:
        return attempt(None)
    except SlowWork as slow:
        with database.read() as connection:
            computed = slow.work(connection)
    return attempt(computed)


@lru_cache(maxsize=256)
def _parse(query: str) -> tuple[DocumentNode | None, list[GraphQLError]]:
    if len(query) > _MAX_LENGTH or len(_WORD.findall(query)) > _MAX_WORDS:
        return None, [GraphQLError(f"the document exceeds {_MAX_LENGTH} characters or {_MAX_WORDS} words")]
    try:
        document = parse(query)
        return document, validate_document(schema(), document)
    except GraphQLError as error:
        return None, [error]
    except RecursionError:
        return None, [GraphQLError("the document is nested too deeply")]


def _execute(document: DocumentNode, content: JsonObject, context: Context) -> ExecutionResult:
    variables = content.get("variables")
    execute = partial(
        execute_sync,
        schema(),
        document,
        context_value=context,
        variable_values=variables if isinstance(variables, dict) else None,
        operation_name=_named(content),
    )
    result = call_in_one_chunk(execute)
    for error in result.errors or ():
        if isinstance(error.original_error, (sqlite3.OperationalError, SlowWork)):
            raise error.original_error
    if result.errors:
        raise _UndoneError(result)
    return result


def _respond(operation: str, result: ExecutionResult) -> Response:
    errors = result.errors or []
    if errors and all(error.path is None for error in errors):
        # Nothing was executed: the variables do not fit the schema.
        return _refused(operation, errors)
    for error in errors:
        cause = error.original_error
        if isinstance(cause, DevServerError):
            level = logging.WARNING if isinstance(cause, UnsupportedError) else logging.INFO
            logger.log(level, "%s refused: %s", operation, cause)
        elif cause is not None:
            logger.error("%s: internal error", operation, exc_info=cause)
    body: dict[str, Any] = {"data": None if errors else result.data}
    if errors:
        body["errors"] = [error.formatted for error in errors]
    # Faster than looking for non-finite numbers in what is nearly always free of them.
    return Response(dumps_strict(body), _status(errors), media_type="application/json")


def _status(errors: list[GraphQLError]) -> int:
    for error in errors:
        if isinstance(error.original_error, AgentGoneError):
            return 404
        if isinstance(error.original_error, (LimitError, UnsupportedError)):
            return 400
    return 200


def _refused(operation: str, errors: list[GraphQLError]) -> Response:
    """Respond with 400, which no client retries: this server does not know the operation or a field of it."""
    logger.warning("%s is not a valid request: %s", operation, "; ".join(error.message for error in errors))
    return _errors(400, [{**error.formatted, "message": f"{operation}: {error.message}"} for error in errors])


def _errors(status: int, errors: list[Any]) -> Response:
    return JSONResponse({"data": None, "errors": errors}, status_code=status)


def _named(content: JsonObject) -> str | None:
    name = content.get("operationName")
    return name if isinstance(name, str) and name else None


def _writer(request: Request) -> str | None:
    shared = request.headers.get("x-wandb-use-async-filestream", "").lower() == "true"
    return request.headers.get("x-wandb-client-id") or None if shared else None
