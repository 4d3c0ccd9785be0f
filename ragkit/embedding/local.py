"""What local models of an SDK have in common: never cut a text, cut dimensions where asked."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from ragkit.embedding.catalogue import Model
from ragkit.embedding.embedder import fit_vectors
from ragkit.errors import ModelUnavailable, PartialRefusal, TextTooLong


def told_by_itself(model: Model, dimension: int, max_tokens: int | None) -> Model:
    """The model with what the loaded one says: fewer dimensions, as in "name/256", are a cut.

    Raises ModelUnavailable when the name has more than it makes.
    """
    if dimension < model.dimension:
        raise ModelUnavailable(
            f"{model.name}: it makes {dimension} dimensions; name it with /{dimension}"
        )
    whole = dimension if dimension > model.dimension else None
    limits = [limit for limit in (model.max_tokens_per_text, max_tokens) if limit]
    return replace(model, whole=whole, max_tokens_per_text=min(limits, default=None))


class LocalEmbedder(ABC):
    """An Embedder and a TokenCounter around a model in this process."""

    model: Model
    marks = 2
    """Tokens that the tokenizer adds to each text."""

    @cached_property
    def special_tokens(self) -> int:
        """As TokenCounter: with those of what stands before a row's text."""
        return self.marks + len(self.token_spans(self._prompt(is_query=False)))

    def embed_documents(self, texts: Sequence[str]) -> np.ndarray:
        """Raises PartialRefusal, with the vectors of the others, when texts are too long."""
        prompt = self._prompt(is_query=False)
        refused = {
            place: reason
            for place, text in enumerate(texts)
            if (reason := self._too_long(prompt + text))
        }
        fitting = [place for place in range(len(texts)) if place not in refused]
        vectors = np.zeros((len(texts), self.model.dimension), np.float32)
        if fitting:
            prefixed = [self.model.document_prefix + texts[place] for place in fitting]
            vectors[fitting] = self._vectors(prefixed, is_query=False)
        if refused:
            raise PartialRefusal(refused, vectors)
        return vectors

    def embed_query(self, text: str) -> np.ndarray:
        """Raises TextTooLong."""
        if reason := self._too_long(self._prompt(is_query=True) + text):
            raise TextTooLong(reason)
        vector: np.ndarray = self._vectors([self.model.query_prefix + text], is_query=True)[0]
        return vector

    @abstractmethod
    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """As TokenCounter."""

    def _prompt(self, is_query: bool) -> str:
        """What stands before a text, and counts towards the limit."""
        return self.model.query_prefix if is_query else self.model.document_prefix

    @abstractmethod
    def _encode(self, texts: list[str], is_query: bool) -> object:
        """Vectors of shape (len(texts), the model's own dimension)."""

    def _vectors(self, texts: list[str], is_query: bool) -> np.ndarray:
        """Raises ModelUnavailable, without the library's words: they may quote a text."""
        try:
            found = self._encode(texts, is_query)
        except Exception as error:  # of several libraries
            raise ModelUnavailable(
                f"{self.model.name} fails on this machine with {type(error).__name__}: it may lack "
                "memory (fewer texts at once: max_texts in model_facts)"
            ) from None
        return fit_vectors(found, len(texts), self.model)

    def _too_long(self, text: str) -> str:
        """Why the model does not take it; empty when it does."""
        limit = self.model.max_tokens_per_text
        if limit is None or len(text.encode()) + self.marks <= limit:
            return ""  # no tokenizer makes more than one token of a byte
        tokens = len(self.token_spans(text)) + self.marks
        if tokens <= limit:
            return ""
        return f"a text of {tokens} tokens; {self.model.name} takes {limit}: shorten it"
