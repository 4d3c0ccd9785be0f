"""The package as an app. What changes at the cut-over is marked; the model changes too."""

import warnings

import vecs
from serving import DATABASE, MODEL, SCHEMA, serve
from vecs.collection import Collection

warnings.simplefilter("ignore")  # no index for the measure
vx = vecs.create_client(DATABASE.replace("postgresql", "postgresql+psycopg2", 1))
if SCHEMA == "public":
    articles = vx.get_or_create_collection("articles", dimension=MODEL.dimension)
else:
    vx.meta.schema = SCHEMA  # changes
    articles = Collection("articles", MODEL.dimension, vx)  # changes


class Store:
    def search(self, question, k):
        found = articles.query(MODEL.embed_query(question), limit=k, include_metadata=True)
        return [metadata["text"] for _, metadata in found]

    def upsert(self, rows):
        articles.upsert([(key, MODEL.embed_query(text), {"text": text}) for key, text in rows])

    insert = update = upsert

    def delete(self, rows):
        articles.delete([key for key, _ in rows])


serve(Store())
