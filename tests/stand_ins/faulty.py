"""The letters model with faults on demand: what a real model service does on a bad day."""

import time

from tests.stand_ins.letters import Letters


class StatusError(Exception):
    """As HTTP clients of model services raise it."""

    def __init__(self, status_code: int):
        super().__init__(f"status {status_code}, key sk-canary")
        self.status_code = status_code


class Faulty(Letters):
    """`faults`: what each of the next calls does instead of answering. `refuses`: texts with
    these letters are refused for good. `seen` counts every text that was answered."""

    def __init__(self, faults=(), refuses=None):
        self.faults, self.refuses, self.seen = list(faults), refuses, []

    def embed_documents(self, texts):
        if self.faults and (fault := self.faults.pop(0)) is not None:
            return self._fail(fault, texts)
        if self.refuses and any(self.refuses in text for text in texts):
            raise StatusError(400)
        self.seen += texts
        return super().embed_documents(texts)

    def _fail(self, fault, texts):
        vectors = Letters.embed_documents(self, texts)
        if isinstance(fault, int):
            raise StatusError(fault)
        if fault == "hang":
            time.sleep(4)
            return vectors
        if fault == "drop":
            raise ConnectionResetError("canary")
        return {
            "dimension": [vector[:-1] for vector in vectors],
            "nan": [[float("nan")] * 64, *vectors[1:]],
            "fewer": vectors[:-1],
            "ragged": [vectors[0][:-1], *vectors[1:]],
            "nothing": [],
        }[fault]
