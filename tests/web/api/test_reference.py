"""The page of the OpenAPI document: all of it, from this server alone."""

import re

from support.chromium import browser
from support.contrast import poor
from support.serving import listening

__all__ = ["browser"]

PATH = "/api/docs"


def test_the_page_names_every_address_parameter_and_schema(client):
    answer, document = client.get(PATH), client.get("/api/openapi.json").json()
    assert answer.headers["content-type"].startswith("text/html")
    page = answer.text
    for path, methods in document["paths"].items():
        for operation in methods.values():
            (section,) = re.findall(
                rf'<section id="{operation["operationId"]}">.*?</section>', page, re.DOTALL
            )
            assert f">{path}<" in section
            for parameter in operation.get("parameters", ()):
                assert f"<code>{parameter['name']}</code>" in section
            for status in operation["responses"]:
                assert f"<td>{status}</td>" in section
    for name, schema in document["components"]["schemas"].items():
        assert f'<section id="schema-{name}">' in page
        assert all(f"<code>{field}</code>" in page for field in schema.get("properties", ()))


def test_its_links_lead_somewhere_and_nothing_is_loaded(client):
    answer = client.get(PATH)
    anchors = set(re.findall(r'id="([^"]+)"', answer.text))
    links = set(re.findall(r'href="([^"]+)"', answer.text))
    assert {link for link in links if link.removeprefix("#") not in anchors} == {
        *("/api/openapi.json", "data:,"),
    }
    assert "<script" not in answer.text
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")


def test_a_browser_shows_it_and_asks_nobody(browser, service):
    errors, asked = [], []
    with listening(service) as port:
        page = browser.new_page(viewport={"width": 390, "height": 800})
        page.on("console", lambda message: errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"http://127.0.0.1:{port}{PATH}")
        assert page.evaluate("getComputedStyle(document.body).maxWidth") == "1120px"
        wide, seen = page.evaluate(
            "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert poor(page) == []
        page.click("a[href='#schema-ConfigurationV3']:visible >> nth=0")
        assert page.url.endswith("#schema-ConfigurationV3")
        page.close()
    assert (errors, wide) == ([], seen)
    assert [one for one in asked if not one.startswith("data:")] == [
        f"http://127.0.0.1:{port}{PATH}"
    ]
