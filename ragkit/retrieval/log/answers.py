"""One JSON line for each answer of the function: how it went, never what was asked.

A canary reads how many rows an answer had from it: the platform's own log of requests tells status
and time, also of an answer that no code of ours lived to give, but no rows.
"""

import json

EVENT = "ragkit.answer"
ASKED_BY_RAGKIT = "ragkit-canary"
"""The User-Agent of a canary's own questions, which are counted where they are asked."""


def answer_line(model: str, status: int, rows: int, ms: float) -> str:
    """`rows` of an answer that failed are 0; `ms` is from the request to the answer."""
    line = {"event": EVENT, "severity": "INFO", "model": model, "status": status, "rows": rows}
    return json.dumps({**line, "ms": round(ms, 2)})
