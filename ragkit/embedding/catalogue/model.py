"""The facts of one embedding model: dimension, limits, tasks, price, retirement, place."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

CHARACTERS_PER_TOKEN = 4
"""A common estimate for English. Used for costs, never to cut a text."""

MAX_DIMENSION = 16_000
"""Of pgvector's type vector."""


@dataclass(frozen=True)
class Model:
    """One embedding model. Limits are per request unless they say otherwise; None is no limit.
    `in_flight` requests at once use a service well without being refused; 1 for a model that runs
    here.

    `shorter`: further dimensions that can be asked for, as in "gemini-embedding-001/768"; `whole`
    is then the dimension without asking. `space`: a name that models have in common whose vectors
    compare. `behind`: for a plug-in, whose name is only the place it is imported from, the class
    and the model that it calls. A prefix is put before each text of its kind. `base_url` is another
    server that speaks the provider's protocol, `key_env` the variable with its key, and
    `answers_as` what it calls the model in its answers. `batch_texts` and `batch_bytes` are limits
    of a job of the provider's batch API, which takes `batch_discount` off the price; 0 texts: the
    model has none. `batch_folder`: where Vertex AI reads and writes the files of its jobs, as in
    gs://bucket/folder.
    """

    name: str
    provider: str
    dimension: int
    max_texts: int = 64
    in_flight: int = 1
    max_tokens: int | None = None
    max_tokens_per_text: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    document_task: str | None = None
    query_task: str | None = None
    usd_per_million_tokens: float = 0.0
    price_as_of: date | None = None
    retires: date | None = None
    shorter: Collection[int] = ()
    whole: int | None = None
    behind: str = ""
    space: str = ""
    document_prefix: str = ""
    query_prefix: str = ""
    base_url: str = ""
    key_env: str = ""
    answers_as: str = ""
    batch_texts: int = 0
    batch_bytes: int = 100_000_000
    batch_discount: float = 0.5
    batch_folder: str = ""

    @property
    def space_name(self) -> str:
        """The name that a space has it by."""
        return self.behind or self.space or self.name

    @property
    def document_form(self) -> str | None:
        """The task or the prefix that documents are embedded with, or both, which a space has."""
        if self.document_task and self.document_prefix:
            return f"{self.document_task}, prefix {self.document_prefix!r}"
        return self.document_task or self.document_prefix or None

    @property
    def is_callable(self) -> bool:
        """False for a model outside of the catalogue: its vectors are there, nobody here can make
        more of them."""
        return bool(self.provider)

    @property
    def shortened(self) -> bool:
        """Whether another dimension is asked for than the model's usual one."""
        return self.whole is not None

    @property
    def served_name(self) -> str:
        """The name that the service knows it by."""
        name = self.name.removeprefix(f"{self.provider}:")
        base, _, digits = name.rpartition("/")
        return base if base and digits.isdecimal() else name

    def is_retired(self, today: date) -> bool:
        return self.retires is not None and self.retires <= today

    def price(self, tokens: int) -> float:
        """US dollars for so many tokens."""
        return tokens * self.usd_per_million_tokens / 1e6

    def batch_price(self, tokens: int) -> float:
        """The same of the batch API."""
        return self.price(tokens) * (1 - self.batch_discount)
