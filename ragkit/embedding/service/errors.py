"""What the errors of a service's SDK mean, by the HTTP status that SDKs put on them.

Their texts are left out: they may hold a key, or a text of the table.
"""

import ssl
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime

from ragkit.embedding.catalogue import Model
from ragkit.errors import ModelBusy, ModelError, ModelUnavailable, RowRefused

KEY, GONE, TOO_MANY = {401, 403, 498}, {404, 410}, 429
"""498: Cohere, a key that was withdrawn."""
UNPAID = 402
REFUSED = {400, 413, 422}
PASSING = {408, 409, 425, TOO_MANY}
NO_CREDIT = "insufficient_quota"
"""OpenAI says it with the status 429, and no wait helps."""
_TLS = {"CERTIFICATE_VERIFY_FAILED", "WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE",
        "UNSUPPORTED_PROTOCOL"}  # fmt: skip
"""OpenSSL's words for what no second attempt mends."""
_UNREADABLE = (AttributeError, KeyError, IndexError, TypeError)
"""What SDKs raise over an answer that is none of their API's."""
_REMEDIES = {
    401: "the key is wrong or was withdrawn: check {key}",
    403: "the key may not use this model, or not from here: check its rights and {key}",
    404: "there is no such model, or it is retired: choose another; or base_url is not that of its "
    "API, such as http://host/v1",
    UNPAID: "the account has no credit left",
    TOO_MANY: "too many requests: wait, or ask for a higher quota",
}


def status_of(error: Exception) -> int | None:
    """The HTTP status of an error of any SDK; None for one without an answer."""
    response = getattr(error, "response", None)
    named = ((error, "status_code"), (error, "http_status"), (error, "code"))
    for holder, name in (*named, (response, "status_code")):
        if isinstance(status := getattr(holder, name, None), int):
            return status
    return None


def explain_error(
    model: Model, error: Exception, passing: tuple[type[Exception], ...] = (), key: str = ""
) -> ModelError:
    """RowRefused for one request, ModelBusy for what passes, ModelUnavailable for every row.
    `passing`: the SDK's errors without a status; `key`: the variable that holds the key."""
    if isinstance(error, ModelError):
        return error
    if (status := status_of(error)) is None:
        return _without_status(model, error, passing)
    if status < 300:
        return _unreadable(model)
    no_credit = getattr(error, "code", None) == NO_CREDIT
    remedy = _remedy(UNPAID if no_credit else status).format(key=key or "its key")
    message = f"{model.name}: status {status}; {remedy}"
    if status in REFUSED:
        return RowRefused(message)
    if not no_credit and (status in PASSING or status >= 500):
        return ModelBusy(message, retry_after(error))
    return ModelUnavailable(message)


def _without_status(
    model: Model, error: Exception, passing: tuple[type[Exception], ...]
) -> ModelError:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError) and cause.reason in _TLS:
            return ModelUnavailable(
                f"{model.name}: TLS fails with {cause.reason}: check base_url, and SSL_CERT_FILE "
                "for a certificate of your own"
            )
    if isinstance(error, (TimeoutError, ConnectionError, *passing)):
        where = f" at {model.base_url}" if model.base_url else ""
        return ModelBusy(f"{model.name}: no answer in time, or cannot be reached{where}: try again")
    if isinstance(error, ValueError):  # of JSON
        return _unreadable(model)
    if isinstance(error, _UNREADABLE):
        return ModelUnavailable(
            f"{model.name}: the answer is none of its API: check base_url ({type(error).__name__})"
        )
    return ModelUnavailable(f"{model.name}: its client failed with {type(error).__name__}")


def _unreadable(model: Model) -> ModelBusy:
    """It may have broken off."""
    return ModelBusy(
        f"{model.name}: an answer that cannot be read: try again, and check base_url if it stays so"
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it came from."""
    while error:
        yield error
        error = error.__cause__ or error.__context__


def retry_after(error: Exception) -> float:
    """The seconds for which the service wants to be left alone; 0 where it does not say."""
    headers = getattr(error, "headers", None) or getattr(
        getattr(error, "response", None), "headers", None
    )
    value = _header(headers, "retry-after") if isinstance(headers, Mapping) else ""
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return 0.0


def _header(headers: Mapping[str, str], name: str) -> str:
    return next((value for key, value in headers.items() if key.lower() == name), "")


def _remedy(status: int) -> str:
    for kind, example in ((KEY, 401), (GONE, 404)):
        if status in kind:
            return _REMEDIES.get(status, _REMEDIES[example])
    if status in REFUSED:
        return "it does not take this text, or not with this dimension"
    if status in _REMEDIES:
        return _REMEDIES[status]
    if status < 400:
        return "the address leads elsewhere: set base_url to where that is"
    if status < 500 and status not in PASSING:
        return "the server does not know such a request: check base_url"
    return "try again"
