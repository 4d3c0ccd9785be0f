"""The frameworks of the proof: their packages, apps, tables, and ways to cut over."""

from dataclasses import dataclass, field
from pathlib import Path

from ragkit.migration.discovery.presets.preset import Preset
from ragkit.migration.discovery.presets.recognition import PRESETS

HERE = Path(__file__).parent
MODELS = "tests.frameworks.models"


@dataclass(frozen=True)
class Framework:
    """`name` is its preset's. `packages` names a file of requirements; "" is the environment of
    ragkit. `new` and `old` are attributes of the models' module. `vector` and `text` are SQL."""

    name: str
    app: str
    table: str
    vector: str = "embedding"
    text: str = "content"
    packages: str = ""
    schema: str = "public"
    old: str = "OLD"
    new: str = "NEW"
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def source(self) -> Path:
        return HERE / "apps" / f"{self.app}.py"

    @property
    def requirements(self) -> list[str]:
        file = HERE / "requirements" / f"{self.packages}.txt"
        return file.read_text().split() if self.packages else []

    @property
    def preset(self) -> Preset:
        return next(preset for preset in PRESETS if preset.name == self.name)

    @property
    def way(self) -> str:
        return self.preset.way


def by_ddl(name: str, table: str, **more: str) -> Framework:
    return Framework(name, "by_ddl", table, settings={"FRAMEWORK": name}, **more)  # type: ignore[arg-type]


FRAMEWORKS = [
    Framework("LangChain PGVector", "langchain_pgvector", "langchain_pg_embedding",
              text="document", packages="langchain"),
    Framework("LangChain PGVectorStore", "langchain_pgvectorstore", "articles",
              packages="langchain"),
    Framework("LlamaIndex", "llamaindex", "data_articles", text="text", packages="llamaindex",
              new="TWIN"),
    Framework("LlamaIndex, hybrid", "llamaindex", "data_articles", text="text",
              packages="llamaindex", settings={"HYBRID": "1"}),
    Framework("Haystack", "haystack_pgvector", "articles", packages="haystack"),
    Framework("mem0", "mem0_pgvector", "memories", vector="vector", text="payload->>'data'",
              packages="mem0"),
    Framework("vecs", "vecs_collection", "articles", vector="vec", text="metadata->>'text'",
              packages="vecs", schema="vecs"),
    by_ddl("Supabase", "documents"),
    by_ddl("Django", "shop_article", text="body"),
    by_ddl("Spring AI", "vector_store", new="TWIN"),
    by_ddl("Dify", "embedding_vector_index_2f7c_node", text="text"),
    by_ddl("Open WebUI", "document_chunk", vector="vector", text="text", old="PADDED"),
]  # fmt: skip
