"""The smoke test: one question to an app, and whether the answer is right."""

import json
from collections.abc import Collection

import httpx

from ragkit.errors import DeployError


def curl_command(url: str, question: str) -> str:
    """The line that a person would type."""
    body = json.dumps({"name": question}, ensure_ascii=False).replace("'", r"'\''")
    return f"curl -X POST {url} -H 'Content-Type: application/json' -d '{body}'"


def run_smoke_test(
    client: httpx.Client, question: str, model: str, fields: Collection[str] = ()
) -> str:
    """The answer to one question, as the app sent it.

    Raises DeployError unless the app serves `model` and answers at least one result whose rows
    all have the same fields, `fields` among them.
    """
    try:
        health = client.get("/healthz").json()
        response = client.post("/", json={"name": question})
        body = response.json()
    except (httpx.HTTPError, ValueError) as error:
        raise DeployError(
            f"the smoke test got no JSON answer from {client.base_url}: {type(error).__name__}"
        ) from None
    if health.get("model") != model:
        observed = health.get("error") or f"it serves {health.get('model')}"
        raise DeployError(f"the smoke test expected an app that serves {model}: {observed}")
    results = body.get("results") if response.status_code == httpx.codes.OK else None
    if not results:
        observed = body.get("error", "no results")
        raise DeployError(
            f"the smoke test asked {question!r} and got {response.status_code}: {observed}"
        )
    missing = sorted(set(fields) - set.intersection(*(set(row) for row in results)))
    if missing:
        raise DeployError(
            f"the smoke test asked {question!r}: the results lack {', '.join(missing)}"
        )
    return response.text.strip()


def result_fields(answer: str) -> set[str]:
    """The fields of the rows in an app's answer."""
    return {field for row in json.loads(answer)["results"] for field in row}
