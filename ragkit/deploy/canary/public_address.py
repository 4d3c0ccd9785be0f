"""The app at its public address: whether it is up before a canary, and answers after it."""

import httpx

from ragkit.errors import DeployError

LOOKS = 3
"""Questions that an app must all fail, to be taken for down."""
CHECKS = 10
"""Questions to the app after it got all traffic, which does not move at once."""
MAX_FAILED = 4
"""Of CHECKS: a revision that passed the canary's tests practically never fails more of them."""


def is_up(client: httpx.Client, question: str) -> bool:
    """A caller who may not ask (403) cannot tell that it is down."""
    return any(_is_up(client, question) for _ in range(LOOKS))


def check_answers(client: httpx.Client, question: str, model: str) -> None:
    """Judges the answers of `model`; those of the revision that goes are not its fault. Raises
    DeployError where most of them are wrong."""
    faults = [fault for _ in range(CHECKS) if (fault := _fault(client, question, model))]
    if len(faults) > MAX_FAILED:
        raise DeployError(
            f"with all traffic, {len(faults)} of {CHECKS} questions failed: {faults[-1]}"
        )


def _is_up(client: httpx.Client, question: str) -> bool:
    try:
        return _ask(client, question).status_code < httpx.codes.INTERNAL_SERVER_ERROR
    except httpx.HTTPError:
        return False


def _fault(client: httpx.Client, question: str, model: str) -> str:
    """Of an answer; "" where it has none."""
    try:
        answer = _ask(client, question)
    except httpx.HTTPError as error:
        return f"no answer ({type(error).__name__})"
    is_judged = answer.headers.get("X-Embedding-Model", "") in ("", model)
    return f"status {answer.status_code}" if is_judged and not _has_rows(answer) else ""


def _ask(client: httpx.Client, question: str) -> httpx.Response:
    return client.post("/", json={"name": question})


def _has_rows(answer: httpx.Response) -> bool:
    try:
        return answer.status_code == httpx.codes.OK and bool(answer.json()["results"])
    except (ValueError, KeyError, TypeError):
        return False
