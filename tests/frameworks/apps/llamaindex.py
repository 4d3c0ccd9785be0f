"""The package as an app. What changes at the cut-over is marked; the model changes too."""

import os

from llama_index.core.schema import TextNode
from llama_index.core.vector_stores.types import VectorStoreQuery, VectorStoreQueryMode
from llama_index.vector_stores.postgres import PGVectorStore
from serving import DATABASE, MODEL, SCHEMA, serve

HYBRID = os.environ.get("HYBRID") == "1"
store = PGVectorStore(
    connection_string=DATABASE.replace("postgresql", "postgresql+psycopg2", 1),
    async_connection_string=DATABASE.replace("postgresql", "postgresql+asyncpg", 1),
    table_name="articles",
    schema_name=SCHEMA,  # changes
    perform_setup=SCHEMA == "public",  # changes
    embed_dim=MODEL.dimension,  # changes
    hybrid_search=HYBRID,
    hnsw_kwargs={"hnsw_m": 16, "hnsw_ef_construction": 64, "hnsw_ef_search": 40},
)


class Store:
    def search(self, question, k):
        mode = VectorStoreQueryMode.HYBRID if HYBRID else VectorStoreQueryMode.DEFAULT
        query = VectorStoreQuery(
            query_embedding=MODEL.embed_query(question), query_str=question,
            similarity_top_k=k, sparse_top_k=2, mode=mode,
        )  # fmt: skip
        return [node.get_content() for node in store.query(query).nodes][:k]

    def insert(self, rows):
        nodes = [TextNode(id_=key, text=text) for key, text in rows]
        for node in nodes:
            node.embedding = MODEL.embed_query(node.text)
        store.add(nodes)

    def update(self, rows):
        """The package has no update: the node is deleted and added."""
        self.delete(rows)
        self.insert(rows)

    upsert = update

    def delete(self, rows):
        store.delete_nodes([key for key, _ in rows])


serve(Store())
