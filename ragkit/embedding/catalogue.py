"""The catalogue of embedding models: dimension, limits, task types, price and retirement date.

Sources, read in November 2026: Vertex AI, "Get text embeddings", "Model versions and lifecycle"
and "Pricing". Prices per million characters are stated per million tokens, at 4 characters a token.
"""

from dataclasses import dataclass, replace
from datetime import date

from ragkit.errors import UnknownModel

CHARACTERS_PER_TOKEN = 4
"""A common estimate for English. Used for costs, never to cut a text."""

MAX_DIMENSION = 16_000
"""Of pgvector's type vector."""


@dataclass(frozen=True)
class Model:
    """One embedding model. Limits are per request unless they say otherwise; None is no limit.
    `in_flight` requests at once use a service well without being refused; 1 for a model that runs
    here.

    `shorter`: dimensions that can be requested instead, as in "gemini-embedding-001/768";
    `shortened` is true for such an entry. `behind`: for a plug-in, whose name is only the place
    it is imported from, the class and the model that it calls.
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
    shorter: tuple[int, ...] = ()
    shortened: bool = False
    behind: str = ""

    @property
    def space_name(self) -> str:
        """The name that a space has it by."""
        return self.behind or self.name

    @property
    def is_callable(self) -> bool:
        """False for a model outside of the catalogue: its vectors are there, nobody here can make
        more of them."""
        return bool(self.provider)

    @property
    def served_name(self) -> str:
        """The name that the service knows it by."""
        return self.name.partition("/")[0]

    def is_retired(self, today: date) -> bool:
        return self.retires is not None and self.retires <= today

    def price(self, tokens: int) -> float:
        """US dollars for so many tokens."""
        return tokens * self.usd_per_million_tokens / 1e6


_VERTEX = Model(
    "", "vertex", 768, max_tokens_per_text=2048, in_flight=8, price_as_of=date(2026, 11, 1),
    document_task="RETRIEVAL_DOCUMENT", query_task="RETRIEVAL_QUERY",
)  # fmt: skip
_TEXT_EMBEDDING = replace(
    _VERTEX, max_texts=250, max_tokens=20_000, requests_per_minute=1500, usd_per_million_tokens=0.10
)

CATALOGUE: dict[str, Model] = {
    model.name: model
    for model in (
        Model("wordllama-64", "wordllama", 64, max_texts=256),
        Model("wordllama-256", "wordllama", 256, max_texts=256),
        Model("all-minilm-l6-v2", "minilm", 384, max_texts=16, max_tokens_per_text=256),
        replace(
            _TEXT_EMBEDDING, name="textembedding-gecko@001", retires=date(2025, 4, 21),
            document_task=None, query_task=None,
        ),
        replace(_TEXT_EMBEDDING, name="text-embedding-005", retires=date(2027, 4, 1)),
        replace(
            _VERTEX, name="gemini-embedding-001", dimension=3072, max_texts=1,
            retires=date(2028, 5, 20), usd_per_million_tokens=0.15, shorter=(768, 1536),
        ),
    )
}  # fmt: skip


def is_known(name: str) -> bool:
    """Whether the catalogue has it."""
    return name in _by_name()


def find_model(name: str) -> Model:
    """The catalogue's entry for `name`, or for "name/dimension", a shorter output of it. For
    another name with a dimension, such as "text-embedding-ada-002/1536", a model that cannot be
    called.

    Raises UnknownModel, which lists the known names.
    """
    models = _by_name()
    if name in models:
        return models[name]
    base, _, digits = name.rpartition("/")
    dimension = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 6 else 0
    if base in models or not base or not 0 < dimension <= MAX_DIMENSION:
        raise UnknownModel(name, sorted(models))
    return Model(name, provider="", dimension=dimension)


def _by_name() -> dict[str, Model]:
    """The catalogue, with an entry for each shorter output."""
    models = dict(CATALOGUE)
    for model in CATALOGUE.values():
        for dimension in model.shorter:
            short = f"{model.name}/{dimension}"
            models[short] = replace(model, name=short, dimension=dimension, shortened=True)
    return models
