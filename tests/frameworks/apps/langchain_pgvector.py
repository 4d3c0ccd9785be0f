"""The package as an app. What changes at the cut-over is marked; the model changes too."""

from langchain_postgres import PGVector
from serving import DATABASE, MODEL, PATH, serve

store = PGVector(
    embeddings=MODEL,
    connection=f"{DATABASE.replace('postgresql', 'postgresql+psycopg', 1)}&{PATH}",  # changes
    collection_name="articles",
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
