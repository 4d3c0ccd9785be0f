"""The smoke test: one question to an app, and whether the answer is right."""

import json
from collections.abc import Collection, Sequence
from typing import Any

import httpx

from ragkit.errors import AppNotRecognised, DeployError


def run_smoke_test(
    client: httpx.Client, question: str, model: str, fields: Collection[str] = ()
) -> str:
    """The answer of ragkit's own function to one question, as it sent it.

    Raises DeployError unless the app serves `model` and answers at least one result whose rows
    all have the same fields, `fields` among them.
    """
    require_model(client, model)
    try:
        response = client.post("/", json={"name": question})
        body = response.json()
    except (httpx.HTTPError, ValueError) as error:
        raise _no_answer(client, error) from None
    results = body.get("results") if response.status_code == httpx.codes.OK else None
    if not results:
        observed = body.get("error", "no results")
        raise DeployError(
            f"the smoke test asked {question!r} and got {response.status_code}: {observed}"
        )
    require_fields(results, question, fields)
    return response.text.strip()


def require_model(client: httpx.Client, model: str) -> None:
    """Raises AppNotRecognised unless the app says at /healthz that it serves `model`."""
    try:
        health = client.get("/healthz").json()
    except (httpx.HTTPError, ValueError) as error:
        raise _no_answer(client, error) from None
    served = health if isinstance(health, dict) else {}
    if served.get("model") != model:
        observed = served.get("error") or f"it serves {served.get('model')}"
        raise AppNotRecognised(f"the smoke test expected an app that serves {model}: {observed}")


def require_fields(rows: Sequence[Any], question: str, fields: Collection[str]) -> None:
    """Raises DeployError unless all rows have `fields`."""
    have = [field_names(row) for row in rows]
    missing = sorted(name for name in fields if not all(name in names for names in have))
    if missing:
        raise DeployError(
            f"the smoke test asked {question!r}: the results lack {', '.join(missing)}"
        )


def result_fields(answer: str) -> set[str]:
    """The fields of the rows in an answer of ragkit's own function."""
    return {field for row in json.loads(answer)["results"] for field in row}


def field_names(row: Any) -> set[str]:
    """None of a row that is a plain text."""
    return set(row) if isinstance(row, dict) else set()


def _no_answer(client: httpx.Client, error: Exception) -> AppNotRecognised:
    return AppNotRecognised(
        f"the smoke test got no JSON answer from {client.base_url}: {type(error).__name__}"
    )
