"""Cloud Storage on loopback: uploads, lists and downloads of its JSON API."""

import json
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, unquote, urlsplit

Answer = tuple[int, dict | bytes] | None


class Storage:
    """`files` by their address; `refuse`: the statuses of the next uploads; `broken`: those whose
    next download breaks off. `on` is called with the
    name of each request: "upload" or "download"."""

    def __init__(self, bucket: str, on: Callable[[str], object]):
        self._bucket, self._on = bucket, on
        self.files: dict[str, bytes] = {}
        self.refuse: list[int] = []
        self.broken: set[str] = set()

    def answer(self, method: str, path: str, body: bytes) -> Answer:
        place, query = urlsplit(path).path, parse_qs(urlsplit(path).query)
        kind, _, rest = place.partition("/storage/v1/b/")
        bucket, _, name = rest.partition("/o")
        if not rest:
            return None
        if self.refuse and kind == "/upload":
            return self.refuse.pop(0), {"error": {"message": "refused"}}
        if bucket != self._bucket:
            return 404, {"error": {"message": "no such bucket"}}
        if kind == "/upload" and method == "POST":
            self._on("upload")
            about, data = _parts(body)
            self.files[f"gs://{bucket}/{about['name']}"] = data
            return 200, self._about(about["name"])
        if kind == "/download":
            self._on("download")
            uri = f"gs://{bucket}/{unquote(name[1:])}"
            if (data := self.files.get(uri)) is None:
                return 404, {}
            if uri in self.broken:
                self.broken.remove(uri)
                return 200, data[:-10]
            return 200, data
        if not name and place == f"/storage/v1/b/{bucket}":  # which the client wants to know
            return 200, {"kind": "storage#bucket", "name": bucket, "location": "US"}
        prefix = f"gs://{bucket}/{query['prefix'][0]}"
        found = sorted(uri for uri in self.files if uri.startswith(prefix))
        names = (uri.removeprefix(f"gs://{bucket}/") for uri in found)
        return 200, {"kind": "storage#objects", "items": [self._about(name) for name in names]}

    def _about(self, name: str) -> dict[str, str]:
        return {"kind": "storage#object", "name": name, "bucket": self._bucket, "generation": "1"}


def _parts(body: bytes) -> Iterator:
    """What it is, as JSON, and its data, of a multipart upload."""
    boundary = body.partition(b"\r\n")[0]
    about, data = (part.partition(b"\r\n\r\n")[2] for part in body.split(boundary)[1:3])
    return json.loads(about), data.removesuffix(b"\r\n")
