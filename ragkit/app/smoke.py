"""The smoke test: one question to an app, and whether the answer is right."""

import httpx

from ragkit.errors import DeployError


def curl(url: str, question: str) -> str:
    """The line a person would type."""
    body = f'{{"name": "{question}"}}'
    return f"curl -X POST {url} -H 'Content-Type: application/json' -d '{body}'"


def smoke(client: httpx.Client, question: str, model: str) -> str:
    """The answer to one question, as the app sent it. Raises DeployError telling what is wrong."""
    try:
        health = client.get("/healthz").json()
        answer = client.post("/", json={"name": question})
        body = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise DeployError(
            f"the smoke test got no JSON answer from {client.base_url}: {type(error).__name__}"
        ) from None
    if health.get("model") != model:
        found = health.get("error") or f"it serves {health.get('model')}"
        raise DeployError(f"the smoke test expected an app that serves {model}: {found}")
    results = body.get("results") if answer.status_code == httpx.codes.OK else None
    if not results or any(not {"name", "description"} <= set(row) for row in results):
        found = body.get("error", "no results")
        raise DeployError(
            f"the smoke test asked {question!r} and got {answer.status_code}: {found}"
        )
    return answer.text.strip()
