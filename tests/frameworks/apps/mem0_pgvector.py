"""The package as an app. What changes at the cut-over is marked; the model changes too."""

from mem0.vector_stores.pgvector import PGVector
from serving import DATABASE, MODEL, PATH, serve

store = PGVector(
    dbname=None, user=None, password=None, host=None, port=None, diskann=False, hnsw=True,
    collection_name="memories",
    embedding_model_dims=MODEL.dimension,  # changes
    connection_string=f"{DATABASE}&{PATH}",  # changes
)  # fmt: skip
store.list()  # makes the table


class Store:
    def search(self, question, k):
        found = store.search(question, MODEL.embed_query(question), top_k=k)
        return [memory.payload["data"] for memory in found]

    def insert(self, rows):
        texts = [text for _, text in rows]
        payloads = [{"data": text, "user_id": "ana"} for text in texts]
        store.insert(MODEL.embed_documents(texts), payloads, [key for key, _ in rows])

    def update(self, rows):
        for key, text in rows:
            store.update(key, MODEL.embed_query(text), {"data": text, "user_id": "ana"})

    def upsert(self, rows):
        for row in rows:
            (self.update if store.get(row[0]) else self.insert)([row])

    def delete(self, rows):
        for key, _ in rows:
            store.delete(key)


serve(Store())
