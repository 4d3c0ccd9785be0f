"""What an app says about itself over real HTTP; test_cutover.py looks at the real function."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from ragkit.deploy.own_app.manual import ManualApp
from ragkit.errors import DeployError


@pytest.mark.parametrize("body", ["[]", "{}", "null", "no JSON"])
def test_an_app_that_does_not_say_its_model_serves_an_unknown_one(body):
    class OtherApp(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body.encode())

    with HTTPServer(("127.0.0.1", 0), OtherApp) as server:
        threading.Thread(target=server.handle_request).start()
        assert ManualApp(f"http://127.0.0.1:{server.server_port}").serving() is None


@pytest.mark.parametrize("url", ["", "http://127.0.0.1:9"])
def test_an_app_that_cannot_be_reached_serves_nothing(url):
    assert ManualApp(url).serving() is None


@pytest.mark.parametrize("proxy", ["", "http://127.0.0.1:9"])
def test_only_a_refused_connection_tells_that_the_app_is_down(monkeypatch, proxy):
    """Not a name that nobody knows, a certificate, or a proxy that is down."""
    monkeypatch.setenv("HTTP_PROXY", proxy)
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        for url in ("http://{}", "https://{}"):
            assert not ManualApp(url.format(f"127.0.0.1:{server.server_port}")).stop("m")
        server.shutdown()
    assert ManualApp(f"http://127.0.0.1:{server.server_port}").stop("m")
    for url in ("", "http://nobody.invalid", "http://[", "127.0.0.1:9"):
        assert not ManualApp(url).stop("m")


def test_it_says_what_to_deploy_by_hand_and_asks_for_the_address_once():
    with pytest.raises(DeployError, match=r"EMBEDDING_MODEL=m by hand, set app\.url, and run"):
        ManualApp("").switch("m", lambda _: "", reuse=False)
    with pytest.raises(DeployError, match="EMBEDDING_MODEL=m by hand, and run this step again"):
        ManualApp("http://127.0.0.1:9").switch("m", lambda _: "", reuse=False)


def test_it_says_what_else_is_to_be_done():
    app = ManualApp("", orders={"m": "with the schema v2"})
    assert app.commands("m") == ["# switch the app to m (with the schema v2)"]
