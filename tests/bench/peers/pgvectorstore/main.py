"""The function with LangChain's PGVectorStore: its class, its pool, its way to the table."""

import json
import os
import threading
from pathlib import Path

import functions_framework
from langchain_core.embeddings import Embeddings
from langchain_postgres import PGEngine, PGVectorStore
from mission import Mission

loading = threading.Lock()
loaded = {}


class Model(Mission, Embeddings):
    """As PGVectorStore requires."""


def make_store():
    folder = Path(os.environ["DB_SOCKET"]).parent
    url = f"postgresql+asyncpg://{os.environ['DB_USER']}@/{os.environ['DB_NAME']}?host={folder}"
    return PGVectorStore.create_sync(
        PGEngine.from_connection_string(url), embedding_service=Model(), table_name="amenities",
        id_column="id", content_column="description", metadata_columns=["name"],
        metadata_json_column=None, embedding_column="embedding",
    )  # fmt: skip


@functions_framework.http
def hello_http(request):
    question = request.get_json(silent=True) or {}
    if not question.get("name"):
        return {"error": "expected a name"}, 400
    with loading:
        if "store" not in loaded:
            loaded["store"] = make_store()
    documents = loaded["store"].similarity_search(question["name"], k=3)
    results = [{"name": d.metadata["name"], "description": d.page_content} for d in documents]
    return json.dumps({"results": results}), 200, {"Content-Type": "application/json"}
