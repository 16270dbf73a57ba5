"""The description of the JSON interface: valid, whole, and of the same declarations the server answers by."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from app.composition import create_app
from app.settings import Settings
from app.views import endpoints
from app.views.openapi import openapi_document, openapi_endpoint
from app.web.callers import Role
from app.worker.application import Innervate


@pytest.fixture
def app(tmp_path: Path) -> Innervate:
    return create_app(Settings(_env_file=None, kafka_broker="127.0.0.1:1", datadir=tmp_path))


@pytest.fixture
def document(app: Innervate) -> Any:
    declared = list(endpoints(app))
    return openapi_document([*declared, openapi_endpoint(declared)])


def operations(document: Any) -> Iterator[tuple[str, str, Any]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_it_is_a_valid_document(document: Any) -> None:
    OpenAPIV31SpecValidator(document).validate()


def test_every_path_of_the_json_interface_is_in_it_and_nothing_else(app: Innervate, document: Any) -> None:
    served = {
        (path, method.lower())
        for method, path in app.required_roles
        if not path.startswith("/ui") and path not in {"", "/"}
    }

    assert {(path, method) for path, method, _ in operations(document)} == served


def test_what_a_domain_shows_of_its_tables_is_in_it(document: Any) -> None:
    parameters = {each["name"]: each for each in document["paths"]["/refunds"]["get"]["parameters"]}

    assert set(parameters) == {
        "limit", "before", "since", "until", "order_id", "customer_id", "payment_id", "decision_id",
    }  # fmt: skip
    assert parameters["limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 500}
    assert document["components"]["schemas"]["RefundRow"]["properties"]["amount_minor"]["description"] == (
        "In minor units of the currency."
    )


def test_every_operation_says_what_it_answers_and_every_problem_has_its_shape(document: Any) -> None:
    for path, method, operation in operations(document):
        assert operation["summary"].endswith("."), (path, method)
        for status, response in operation["responses"].items():
            [content] = response["content"]
            if int(status) >= 400 and content != "application/json":
                assert content == "application/problem+json"
                assert response["content"][content]["schema"] == {"$ref": "#/components/schemas/Problem"}


def test_what_changes_something_needs_a_role_that_says_so(document: Any) -> None:
    roles = {(path, method): operation["x-role"] for path, method, operation in operations(document)}

    assert {role for (_, method), role in roles.items() if method != "get"} == {"operate", "approve"}
    assert {path for (path, _), role in roles.items() if role == Role.NOTHING.word} == {"/health/live", "/health/ready"}


def test_no_pattern_of_the_server_is_left_in_a_path(document: Any) -> None:
    for path in document["paths"]:
        assert re.fullmatch(r"(/(\{\w+\}|[a-z.-]+))+", path)


def test_ids_of_operations_are_names_and_each_has_its_own(document: Any) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]

    assert len(set(names)) == len(names)
    assert all(name.isidentifier() for name in names)
