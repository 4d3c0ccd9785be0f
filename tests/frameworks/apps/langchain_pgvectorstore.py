"""The package as an app. What changes at the cut-over is marked; the model changes too."""

from contextlib import suppress

from langchain_postgres import PGEngine, PGVectorStore
from serving import COLUMN, DATABASE, MODEL, serve
from sqlalchemy.exc import ProgrammingError

engine = PGEngine.from_connection_string(DATABASE.replace("postgresql", "postgresql+psycopg", 1))
with suppress(ProgrammingError):  # it is there already
    engine.init_vectorstore_table("articles", MODEL.dimension)
store = PGVectorStore.create_sync(
    engine,
    embedding_service=MODEL,
    embedding_column=COLUMN,  # changes
    table_name="articles",
)


class Store:
    def search(self, question, k):
        return [found.page_content for found in store.similarity_search(question, k=k)]

    def insert(self, rows):
        store.add_texts([text for _, text in rows], ids=[key for key, _ in rows])

    update = upsert = insert

    def delete(self, rows):
        store.delete([key for key, _ in rows])


serve(Store())
