"""The package as an app. What changes at the cut-over is marked; the model changes too."""

from haystack import Document
from haystack.document_stores.types import DuplicatePolicy
from haystack.utils import Secret
from haystack_integrations.components.retrievers.pgvector import PgvectorEmbeddingRetriever
from haystack_integrations.document_stores.pgvector import PgvectorDocumentStore
from serving import DATABASE, MODEL, SCHEMA, serve

store = PgvectorDocumentStore(
    connection_string=Secret.from_token(DATABASE),
    create_extension=False,
    schema_name=SCHEMA,
    table_name="articles",
    embedding_dimension=MODEL.dimension,  # changes
)
store.count_documents()  # makes the table
retriever = PgvectorEmbeddingRetriever(document_store=store)


class Store:
    def search(self, question, k):
        found = retriever.run(query_embedding=MODEL.embed_query(question), top_k=k)
        return [document.content for document in found["documents"]]

    def insert(self, rows, policy=DuplicatePolicy.FAIL):
        documents = [
            Document(id=key, content=text, embedding=MODEL.embed_query(text)) for key, text in rows
        ]
        store.write_documents(documents, policy=policy)

    def upsert(self, rows):
        self.insert(rows, DuplicatePolicy.OVERWRITE)

    update = upsert

    def delete(self, rows):
        store.delete_documents([key for key, _ in rows])


serve(Store())
