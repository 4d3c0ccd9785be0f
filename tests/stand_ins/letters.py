"""A LangChain-style plug-in with a small, real model: counts of letter pairs, 64 dimensions."""

import zlib


class Letters:
    """Deterministic and fast. Texts that share letter pairs have similar vectors."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        counts = [0.0] * 64
        for pair in zip(text.lower(), text.lower()[1:], strict=False):
            counts[zlib.crc32("".join(pair).encode()) % 64] += 1.0
        length = sum(c * c for c in counts) ** 0.5 or 1.0
        return [c / length for c in counts]
