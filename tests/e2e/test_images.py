"""Pictures through the gateway: OpenAI's own, Replicate, Imagen, Gemini; over real sockets with the official client."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest
from PIL import Image

from tests.support.clients import Wire, async_client
from tests.support.forms import form_of
from tests.support.gateway import Gateway, booked, running
from tests.support.upstream import Received, Script, Upstream, Writer, answering

CONFIG = """
    ledger: ledger.db
    channels:
      - name: openai
        type: openai
        base_url: {url}
        api_key: sk-upstream
        models: {{draw: gpt-image-1.5, dall-e-3: dall-e-3, dall-e-2: dall-e-2, mini: gpt-image-1-mini}}
      - name: xai
        type: openai-compatible
        base_url: {url}
        api_key: sk-xai
        models: [grok-2-image]
        prices: {{grok-2-image: {{image: 0.07}}}}
      - name: replicate
        type: replicate
        base_url: {root}
        api_key: r8-upstream
        models:
          flux: black-forest-labs/flux-schnell
          flux-pro: black-forest-labs/flux-1.1-pro
          flux-fill: black-forest-labs/flux-fill-pro
          kontext: black-forest-labs/flux-kontext-pro
          redux: black-forest-labs/flux-redux-dev
          pictures: somebody/pictures:{version}
        prices: {{pictures: {{image: 0.01}}}}
      - name: gemini
        type: gemini
        base_url: {root}
        api_key: AIza-upstream
        models:
          imagen: imagen-3.0-generate-002
          imagen-edit: imagen-3.0-capability-001
          banana: gemini-2.5-flash-image
"""
VERSION = "5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa"


@asynccontextmanager
async def serving(tmp_path: Path, *scripts: Script, **token: Any) -> AsyncIterator[tuple[Upstream, Gateway]]:
    async with Upstream(list(scripts)) as upstream:
        root = upstream.url.removesuffix("/v1")
        config = CONFIG.format(url=upstream.url, root=root, version=VERSION)
        async with running(tmp_path, config, **token) as gateway:
            yield upstream, gateway


def picture(size: tuple[int, int] = (8, 6), kind: str = "PNG", mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    made = Image.new(mode, size)
    count, bands = size[0] * size[1], range(len(mode))
    made.putdata([tuple((x * 31 + band * 40) % 256 for band in bands) for x in range(count)])
    made.save(out, kind)
    return out.getvalue()


def openai_mask(size: tuple[int, int] = (8, 6)) -> bytes:
    """Transparent where to change: the left half; opaque white in the rest."""
    made = Image.new("RGBA", size, (255, 255, 255, 255))
    made.paste((0, 0, 0, 0), (0, 0, size[0] // 2, size[1]))
    out = io.BytesIO()
    made.save(out, "PNG")
    return out.getvalue()


def is_flux_mask(data: bytes) -> bool:
    """White exactly where `openai_mask` is transparent, black elsewhere."""
    mask = Image.open(io.BytesIO(data)).convert("L")
    width, height = mask.size
    return all(mask.getpixel((x, y)) == (255 if x < width // 2 else 0) for x in range(width) for y in range(height))


PNG = picture()
B64 = base64.b64encode(PNG).decode()


def drawn(n: int = 1, **more: Any) -> Script:
    return answering(200, {"created": 1, "data": [{"b64_json": B64}] * n, **more})


USAGE = {
    "input_tokens": 50,
    "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
    "output_tokens": 1000,
    "total_tokens": 1050,
}


@dataclass(frozen=True)
class Bill:
    """nanos: by the price lists named in the ledger's table and in genai-prices (2026-11)."""

    name: str
    asked: dict[str, Any]
    script: Script
    nanos: int


BILLS = [
    Bill("dall-e-3", {"model": "dall-e-3"}, drawn(), 40_000_000),
    Bill("dall-e-3 hd", {"model": "dall-e-3", "quality": "hd"}, drawn(), 80_000_000),
    Bill("dall-e-3 tall", {"model": "dall-e-3", "size": "1024x1792"}, drawn(), 80_000_000),
    Bill("dall-e-3 hd tall", {"model": "dall-e-3", "size": "1024x1792", "quality": "hd"}, drawn(), 120_000_000),
    Bill("dall-e-2 twice", {"model": "dall-e-2", "n": 2}, drawn(2), 40_000_000),
    Bill("dall-e-2 small", {"model": "dall-e-2", "size": "256x256"}, drawn(), 16_000_000),
    Bill("dall-e-2, fewer came", {"model": "dall-e-2", "n": 3}, drawn(2), 40_000_000),
    # $5 text in, $8 image in, $32 image out a million
    Bill("gpt-image by tokens", {"model": "draw"}, drawn(usage=USAGE), 10 * 5_000 + 40 * 8_000 + 1000 * 32_000),
    Bill(
        "gpt-image, tokens unsaid",
        {"model": "draw", "quality": "low", "size": "1024x1024"},
        drawn(),
        260 * 32_000 + 2 * 5_000,
    ),
    Bill("another vendor by picture", {"model": "grok-2-image", "n": 2}, drawn(2, usage=USAGE), 140_000_000),
]


@pytest.mark.parametrize("case", BILLS, ids=lambda case: case.name)
async def test_openai_bills(case: Bill, tmp_path: Path) -> None:
    wire = Wire()
    async with serving(tmp_path, case.script) as (upstream, gateway):
        async with async_client(gateway, wire) as client:
            answer = await client.images.generate(prompt="a fox", **case.asked)
        assert answer.data and answer.data[0].b64_json == B64
        assert booked(gateway, wire.request_id) == ("settled", case.nanos)
        assert gateway.differences() == []
        sent = upstream.received[0]
        assert sent.target == "/v1/images/generations"
        name = {"draw": "gpt-image-1.5"}.get(case.asked["model"], case.asked["model"])
        assert sent.json == {"prompt": "a fox", **case.asked, "model": name}


async def test_the_hold_covers_the_dearest(tmp_path: Path) -> None:
    """Refused where the balance does not reach for what was asked, before anything is sent."""
    async with serving(tmp_path, drawn(), budget_nanos=100_000_000) as (upstream, gateway):
        async with async_client(gateway, Wire()) as client:
            with pytest.raises(openai.PermissionDeniedError) as caught:
                await client.images.generate(model="dall-e-3", prompt="x", size="1792x1024", quality="hd")
            assert caught.value.code == "insufficient_user_quota"
            await client.images.generate(model="dall-e-3", prompt="x", size="1792x1024")
        assert len(upstream.received) == 1


async def test_edits_as_a_form(tmp_path: Path) -> None:
    wire = Wire()
    async with serving(tmp_path, drawn(usage=USAGE)) as (upstream, gateway):
        images = [("a.png", PNG), ("b.png", picture(kind="JPEG")), ("c.webp", picture(kind="WEBP"))]
        async with async_client(gateway, wire) as client:
            await client.images.edit(model="draw", image=images, mask=("m.png", openai_mask()), prompt="ein Füchslein")
        (sent,) = upstream.received
        assert sent.target == "/v1/images/edits"
        form = form_of(sent)
        assert form.fields == {"prompt": ["ein Füchslein"], "model": ["gpt-image-1.5"]}
        received = [hashlib.sha256(data).digest() for _, _, data in form.files["image[]"]]
        assert received == [hashlib.sha256(data).digest() for _, data in images]
        assert hashlib.sha256(form.files["mask"][0][2]).digest() == hashlib.sha256(openai_mask()).digest()
        boundary = wire.sent[-1].split(b"\r\n", 1)[0]
        assert sent.body.startswith(boundary + b"\r\n")
        assert booked(gateway, wire.request_id) == ("settled", 10 * 5_000 + 40 * 8_000 + 1000 * 32_000)


async def test_edits_as_json(tmp_path: Path) -> None:
    body = {
        "model": "draw",
        "prompt": "x",
        "images": [{"image_url": f"data:image/png;base64,{B64}"}, {"image_url": "https://example.com/a.png"}],
    }
    async with serving(tmp_path, drawn(usage=USAGE)) as (upstream, gateway):
        status, answer = await post(gateway, "/images/edits", body)
        assert status == 200, answer
        assert upstream.received[0].json == {**body, "model": "gpt-image-1.5"}


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
async def test_variations(tmp_path: Path) -> None:
    wire = Wire()
    async with serving(tmp_path, drawn(2)) as (upstream, gateway):
        async with async_client(gateway, wire) as client:
            await client.images.create_variation(image=("a.png", PNG), model="dall-e-2", n=2, size="512x512")
        assert form_of(upstream.received[0]).fields["n"] == ["2"]
        assert booked(gateway, wire.request_id) == ("settled", 36_000_000)


async def test_partial_pictures(tmp_path: Path) -> None:
    wire = Wire()

    async def script(_: Received, writer: Writer) -> None:
        events: list[dict[str, Any]] = [
            {"type": "image_generation.partial_image", "b64_json": B64, "partial_image_index": 0},
            {"type": "image_generation.completed", "b64_json": B64, "usage": USAGE},
        ]
        await writer.stream([f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events], done=False)

    async with serving(tmp_path, script) as (_, gateway):
        async with async_client(gateway, wire) as client:
            stream = await client.images.generate(model="draw", prompt="x", stream=True, partial_images=1)
            kinds = [event.type async for event in stream]
        assert kinds == ["image_generation.partial_image", "image_generation.completed"]
        assert booked(gateway, wire.request_id) == ("settled", 10 * 5_000 + 40 * 8_000 + 1000 * 32_000)


async def post(gateway: Gateway, path: str, body: Any) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {gateway.key}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{gateway.base}{path}", json=body) as answer,
    ):
        return answer.status, await answer.json()


# --- Replicate ------------------------------------------------------------------------------------------------------
# Shapes: https://replicate.com/docs/reference/http (2026-11)


@dataclass
class Replicate:
    """Predictions that take `polls` polls; statuses: how the first, second… of them end."""

    polls: int = 0
    statuses: tuple[str, ...] = ("succeeded",)
    error: str | None = None
    created: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    asked: dict[str, int] = field(default_factory=dict)
    base: str = ""

    async def __call__(self, received: Received, writer: Writer) -> None:
        path = received.target
        self.base = "http://" + received.headers["host"]
        if path.startswith("/files/"):
            assert "authorization" not in received.headers, "no key goes where an output lies"
            await writer.answer(200, PNG, {"Content-Type": "image/png"})
            return
        assert received.headers["authorization"] == "Bearer r8-upstream"
        if path.endswith("/cancel"):
            self.cancelled.append(path.split("/")[-2])
            await writer.answer(200, self._prediction(path.split("/")[-2], "canceled"))
        elif received.method == "POST":
            assert received.headers["prefer"].startswith("wait")
            self.paths.append(path)
            self.created.append(received.json)
            name = f"p{len(self.created)}"
            self.asked[name] = 0
            await writer.answer(201, self._prediction(name, self._status(name)))
        else:
            name = path.rsplit("/", 1)[-1]
            self.asked[name] += 1
            await writer.answer(200, self._prediction(name, self._status(name)))

    def _status(self, name: str) -> str:
        if self.asked[name] < self.polls:
            return "processing"
        return self.statuses[min(int(name[1:]), len(self.statuses)) - 1]

    def _prediction(self, name: str, status: str) -> dict[str, Any]:
        count = self.created[int(name[1:]) - 1]["input"].get("num_outputs", 1)
        output = [f"{self.base}/files/{name}-{i}.png" for i in range(count)] if status == "succeeded" else None
        return {
            "id": name,
            "status": status,
            "output": output,
            "error": self.error if status == "failed" else None,
            "metrics": {"predict_time": 1.5},
            "urls": {
                "get": f"{self.base}/v1/predictions/{name}",
                "cancel": f"{self.base}/v1/predictions/{name}/cancel",
            },
        }


@dataclass(frozen=True)
class Asked:
    """input: what every prediction must be asked for."""

    name: str
    asked: dict[str, Any]
    inputs: tuple[dict[str, Any], ...]
    nanos: int
    path: str = "/v1/models/black-forest-labs/flux-schnell/predictions"
    polls: int = 0


PRO = "/v1/models/black-forest-labs/flux-1.1-pro/predictions"
ASKED = [
    Asked("a picture", {"model": "flux"}, ({"prompt": "a fox", "output_format": "png"},), 3_000_000),
    Asked("polled", {"model": "flux"}, ({"prompt": "a fox", "output_format": "png"},), 3_000_000, polls=2),
    Asked(
        "bytes",
        {"model": "flux", "response_format": "b64_json"},
        ({"prompt": "a fox", "output_format": "png"},),
        3_000_000,
    ),
    Asked(
        "wide",
        {"model": "flux", "size": "1792x1024"},
        ({"prompt": "a fox", "output_format": "png", "aspect_ratio": "16:9"},),
        3_000_000,
    ),
    Asked(
        "several at once",
        {"model": "flux", "n": 3, "output_format": "jpeg"},
        ({"prompt": "a fox", "output_format": "jpg", "num_outputs": 3},),
        9_000_000,
    ),
    Asked(
        "several in two",
        {"model": "flux", "n": 6},
        (
            {"prompt": "a fox", "output_format": "png", "num_outputs": 4},
            {"prompt": "a fox", "output_format": "png", "num_outputs": 2},
        ),
        18_000_000,
    ),
    Asked(
        "sides",
        {"model": "flux-pro", "size": "1000x700"},
        ({"prompt": "a fox", "output_format": "png", "aspect_ratio": "custom", "width": 992, "height": 704},),
        40_000_000,
        PRO,
    ),
    Asked(
        "one a prediction",
        {"model": "flux-pro", "n": 2, "extra_body": {"seed": 7}},
        ({"prompt": "a fox", "output_format": "png", "seed": 7},) * 2,
        80_000_000,
        PRO,
    ),
    Asked(
        "another model",
        {"model": "pictures", "extra_body": {"input": {"steps": 3, "prompt": "mine"}}},
        ({"prompt": "mine", "steps": 3},),
        10_000_000,
        "/v1/predictions",
    ),
]


@pytest.mark.parametrize("case", ASKED, ids=lambda case: case.name)
async def test_replicate(case: Asked, tmp_path: Path) -> None:
    wire, vendor = Wire(), Replicate(polls=case.polls)
    async with serving(tmp_path, vendor) as (_, gateway):
        async with async_client(gateway, wire) as client:
            answer = await client.images.generate(prompt="a fox", **case.asked)
        assert [body["input"] for body in vendor.created] == list(case.inputs)
        assert vendor.paths == [case.path] * len(case.inputs)
        assert len(answer.data or ()) == case.asked.get("n", 1)
        for each in answer.data or ():
            if case.asked.get("response_format") == "b64_json":
                assert each.b64_json == B64
            else:
                assert each.url and each.url.startswith(vendor.base + "/files/p")
        if case.path == "/v1/predictions":
            assert vendor.created[0]["version"] == VERSION
        assert booked(gateway, wire.request_id) == ("settled", case.nanos)
        assert gateway.differences() == []
        assert vendor.cancelled == []


async def test_flux_fill(tmp_path: Path) -> None:
    """OpenAI's mask (transparent: change) arrives as Flux's (white: change, everything else black)."""
    wire, vendor = Wire(), Replicate()
    async with serving(tmp_path, vendor) as (_, gateway):
        async with async_client(gateway, wire) as client:
            answer = await client.images.edit(
                model="flux-fill",
                image=("a.png", PNG),
                mask=("m.png", openai_mask()),
                prompt="a hat",
                response_format="b64_json",
            )
        assert answer.data and answer.data[0].b64_json == B64
        given = vendor.created[0]["input"]
        assert given["prompt"] == "a hat"
        assert data_of(given["image"]) == PNG
        assert is_flux_mask(data_of(given["mask"]))
        assert vendor.paths == ["/v1/models/black-forest-labs/flux-fill-pro/predictions"]
        assert booked(gateway, wire.request_id) == ("settled", 50_000_000)


def data_of(url: str) -> bytes:
    assert url.startswith("data:image/png;base64,")
    return base64.b64decode(url.partition(",")[2], validate=True)


async def test_flux_kontext_and_redux(tmp_path: Path) -> None:
    vendor = Replicate()
    async with serving(tmp_path, vendor) as (_, gateway):
        async with async_client(gateway, Wire()) as client:
            await client.images.edit(model="kontext", image=("a.png", PNG), prompt="older", size="1024x1024")
            await client.images.edit(model="redux", image=("a.png", PNG), prompt="unheard", n=2)
        kontext, redux = (body["input"] for body in vendor.created)
        assert data_of(kontext.pop("input_image")) == PNG
        assert kontext == {"prompt": "older", "aspect_ratio": "1:1", "output_format": "png"}
        assert data_of(redux.pop("redux_image")) == PNG
        assert redux == {"output_format": "png", "num_outputs": 2}


@pytest.mark.parametrize("status", ["failed", "canceled"])
async def test_a_failed_prediction_costs_nothing_and_says_why(status: str, tmp_path: Path) -> None:
    vendor = Replicate(polls=1, statuses=(status,), error="NSFW content detected. Try another prompt.")
    async with serving(tmp_path, vendor) as (_, gateway):
        status_code, answer = await post(gateway, "/images/generations", {"model": "flux", "prompt": "x"})
        assert status_code == (400 if status == "failed" else 502), answer
        assert ("NSFW content" if status == "failed" else "cancelled") in answer["error"]["message"]
        db = gateway.db()
        assert db.execute("SELECT state, cost_nanos FROM requests").fetchall() == [("released", 0)]
        db.close()
        assert gateway.differences() == []


async def test_what_succeeded_is_handed_out_and_paid(tmp_path: Path) -> None:
    wire, vendor = Wire(), Replicate(statuses=("succeeded", "failed"), error="out of memory")
    async with serving(tmp_path, vendor) as (_, gateway):
        async with async_client(gateway, wire) as client:
            answer = await client.images.generate(model="flux-pro", prompt="x", n=2)
        assert len(answer.data or ()) == 1
        assert booked(gateway, wire.request_id) == ("settled", 40_000_000)


async def test_the_prediction_is_cancelled_when_the_client_leaves(tmp_path: Path) -> None:
    vendor = Replicate(polls=1000)
    async with serving(tmp_path, vendor) as (_, gateway):
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(post(gateway, "/images/generations", {"model": "flux", "prompt": "x"}), 1.5)
        for _ in range(100):
            db = gateway.db()
            found = db.execute("SELECT state, cost_nanos FROM requests").fetchall()
            db.close()
            if vendor.cancelled and found and found[0][0] != "held":
                break
            await asyncio.sleep(0.05)
        assert vendor.cancelled == ["p1"]
        assert found == [("released", 0)]
        assert gateway.differences() == []


async def test_a_client_that_leaves_while_it_is_created(tmp_path: Path) -> None:
    """The creating request waits for the output, and until it answers nobody knows what to cancel."""
    vendor = Replicate(polls=1000)

    async def slow(received: Received, writer: Writer) -> None:
        if received.method == "POST" and not received.target.endswith("/cancel"):
            await asyncio.sleep(1.2)
        await vendor(received, writer)

    async with serving(tmp_path, slow) as (_, gateway):
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(
                post(gateway, "/images/generations", {"model": "flux-pro", "prompt": "x", "n": 2}), 0.6
            )
        for _ in range(100):
            db = gateway.db()
            found = db.execute("SELECT state, cost_nanos FROM requests").fetchall()
            db.close()
            if found and found[0][0] != "held":
                break
            await asyncio.sleep(0.05)
        assert sorted(vendor.cancelled) == ["p1", "p2"]
        assert found == [("released", 0)]


# --- Imagen and Gemini ----------------------------------------------------------------------------------------------
# Shapes: https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/imagen-api and …/imagen-api-edit,
# https://ai.google.dev/gemini-api/docs/image-generation (2026-11)


def predicting(*predictions: dict[str, Any]) -> Script:
    async def script(received: Received, writer: Writer) -> None:
        assert received.headers["x-goog-api-key"] == "AIza-upstream"
        count = received.json["parameters"]["sampleCount"]
        found = predictions or tuple({"bytesBase64Encoded": B64, "mimeType": "image/png"} for _ in range(count))
        await writer.answer(200, {"predictions": list(found)})

    return script


async def test_imagen(tmp_path: Path) -> None:
    wire = Wire()
    async with serving(tmp_path, predicting()) as (upstream, gateway):
        async with async_client(gateway, wire) as client:
            answer = await client.images.generate(
                model="imagen", prompt="a fox", n=6, size="1536x1024", extra_body={"negativePrompt": "dogs"}
            )
        assert [each.b64_json for each in answer.data or ()] == [B64] * 6
        first, second = sorted(upstream.received, key=lambda each: -each.json["parameters"]["sampleCount"])
        assert first.target == "/v1beta/models/imagen-3.0-generate-002:predict"
        assert first.json == {
            "instances": [{"prompt": "a fox"}],
            "parameters": {
                "sampleCount": 4,
                "includeRaiReason": True,
                "aspectRatio": "4:3",
                "negativePrompt": "dogs",
            },
        }
        assert second.json["parameters"]["sampleCount"] == 2
        assert booked(gateway, wire.request_id) == ("settled", 240_000_000)


async def test_imagen_edits(tmp_path: Path) -> None:
    wire = Wire()
    async with serving(tmp_path, predicting()) as (upstream, gateway):
        async with async_client(gateway, wire) as client:
            await client.images.edit(
                model="imagen-edit", image=("a.png", PNG), mask=("m.png", openai_mask()), prompt="a hat"
            )
        (sent,) = upstream.received
        assert sent.target == "/v1beta/models/imagen-3.0-capability-001:predict"
        (instance,) = sent.json["instances"]
        raw, mask = instance["referenceImages"]
        assert raw == {
            "referenceType": "REFERENCE_TYPE_RAW",
            "referenceId": 1,
            "referenceImage": {"bytesBase64Encoded": B64},
        }
        assert is_flux_mask(base64.b64decode(mask.pop("referenceImage")["bytesBase64Encoded"]))
        assert mask == {
            "referenceType": "REFERENCE_TYPE_MASK",
            "referenceId": 2,
            "maskImageConfig": {"maskMode": "MASK_MODE_USER_PROVIDED"},
        }
        assert sent.json["parameters"]["editMode"] == "EDIT_MODE_INPAINT_INSERTION"
        assert booked(gateway, wire.request_id) == ("settled", 40_000_000)


async def test_what_the_filter_took_out_is_said(tmp_path: Path) -> None:
    filtered = {"raiFilteredReason": "Unable to show generated images: 89371032"}
    shown = {"bytesBase64Encoded": B64, "mimeType": "image/png"}
    wire = Wire()
    async with serving(tmp_path, predicting(filtered, shown), predicting(filtered)) as (_, gateway):
        async with async_client(gateway, wire) as client:
            answer = await client.images.generate(model="imagen", prompt="x", n=2)
            assert len(answer.data or ()) == 1
            assert wire.headers[-1]["x-oneapi-notes"] == "filtered:images"
            assert booked(gateway, wire.request_id) == ("settled", 40_000_000)
            with pytest.raises(openai.BadRequestError) as caught:
                await client.images.generate(model="imagen", prompt="x")
        assert caught.value.code == "content_policy_violation"
        assert "89371032" in str(caught.value)
        assert booked(gateway, wire.request_id) == ("released", 0)


GEMINI = {
    "candidates": [
        {
            "content": {
                "role": "model",
                "parts": [{"text": "Here it is."}, {"inlineData": {"mimeType": "image/png", "data": B64}}],
            },
            "finishReason": "STOP",
        }
    ],
    "usageMetadata": {
        "promptTokenCount": 7,
        "candidatesTokenCount": 1300,
        "totalTokenCount": 1307,
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}],
    },
}


async def test_gemini_images(tmp_path: Path) -> None:
    wire = Wire()
    async with serving(tmp_path, answering(200, GEMINI)) as (upstream, gateway):
        async with async_client(gateway, wire) as client:
            answer = await client.images.generate(model="banana", prompt="a fox", size="1024x1536", n=2)
            edited = await client.images.edit(model="banana", image=("a.png", PNG), prompt="older")
        assert [each.b64_json for each in answer.data or ()] == [B64, B64]
        assert answer.data and answer.data[0].revised_prompt == "Here it is."
        assert answer.usage is not None and answer.usage.output_tokens == 2600
        assert upstream.received[0].target == "/v1beta/models/gemini-2.5-flash-image:generateContent"
        assert upstream.received[0].json == {
            "contents": [{"role": "user", "parts": [{"text": "a fox"}]}],
            "generationConfig": {"responseModalities": ["TEXT", "IMAGE"], "imageConfig": {"aspectRatio": "2:3"}},
        }
        text, shown = upstream.received[2].json["contents"][0]["parts"]
        assert (text, shown) == ({"text": "older"}, {"inlineData": {"mimeType": "image/png", "data": B64}})
        assert len(edited.data or ()) == 1
        # $0.30 in, $2.50 text out, $30 image out a million
        assert booked(gateway, wire.request_id) == ("settled", 7 * 300 + 10 * 2_500 + 1290 * 30_000)


# --- bad input ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bad:
    name: str
    member: str
    fields: Mapping[str, Any]
    files: Mapping[str, bytes] = field(default_factory=dict)
    json: bool = False
    path: str = "/images/edits"
    code: str = ""


EDIT = {"model": "draw", "prompt": "x"}
BAD = [
    Bad("no image", "image", EDIT),
    Bad("an empty image", "image", EDIT, {"image": b""}),
    Bad("a corrupt image", "image", EDIT, {"image": b"\x89PNG\r\n\x1a\n" + b"x" * 99}),
    Bad("a png cut short", "image", EDIT, {"image": picture((400, 300))[:-200]}),
    Bad("a jpeg cut short", "image", EDIT, {"image": picture((400, 300), "JPEG")[:-900]}),
    Bad("a webp cut short", "image", EDIT, {"image": picture((40, 30), "WEBP")[:-50]}),
    Bad("no picture at all", "image", EDIT, {"image": b"hello"}),
    Bad("a bomb", "image", EDIT, {"image": PNG[:16] + b"\0\1\0\0\0\1\0\0" + PNG[24:]}),
    Bad("a mask of another size", "mask", EDIT, {"image": PNG, "mask": openai_mask((9, 6))}),
    Bad("no prompt", "prompt", {"model": "draw"}, {"image": PNG}),
    Bad("n too large", "n", {**EDIT, "n": "11"}, {"image": PNG}),
    Bad("n of nothing", "n", {**EDIT, "n": "0"}, {"image": PNG}),
    Bad("a size", "size", {**EDIT, "model": "dall-e-2", "size": "100x100"}, {"image": PNG}),
    Bad("a mask without a picture", "image", {"model": "flux-fill", "prompt": "x"}, {"mask": openai_mask()}),
    Bad("fill without a mask", "mask", {"model": "flux-fill", "prompt": "x"}, {"image": PNG}),
    Bad("a picture that is not taken", "image", {"model": "flux", "prompt": "x"}, {"image": PNG}),
    Bad("a mask that is not taken", "mask", {"model": "kontext", "prompt": "x"}, {"image": PNG, "mask": openai_mask()}),
    Bad("json: no prompt", "prompt", {"model": "draw"}, json=True, path="/images/generations", code="prompt_missing"),
    Bad(
        "json: n",
        "n",
        {"model": "dall-e-3", "prompt": "x", "n": 2},
        json=True,
        path="/images/generations",
        code="n_not_within_range",
    ),
    Bad(
        "json: size",
        "size",
        {"model": "dall-e-3", "prompt": "x", "size": "256x256"},
        json=True,
        path="/images/generations",
        code="size_not_supported",
    ),
    Bad(
        "json: prompt",
        "prompt",
        {"model": "dall-e-2", "prompt": "x" * 1001},
        json=True,
        path="/images/generations",
        code="prompt_too_long",
    ),
    Bad(
        "json: stream",
        "stream",
        {"model": "imagen", "prompt": "x", "stream": True},
        json=True,
        path="/images/generations",
    ),
    Bad("json: redux", "image", {"model": "redux", "prompt": "x"}, json=True, path="/images/generations"),
    Bad(
        "json where a form is",
        "image",
        {"model": "dall-e-2"},
        json=True,
        path="/images/variations",
        code="wrong_content_type",
    ),
]


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name)
async def test_bad_input(case: Bad, tmp_path: Path) -> None:
    async with (
        serving(tmp_path, drawn()) as (upstream, gateway),
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {gateway.key}"}) as session,
    ):
        if case.json:
            status, body = await post(gateway, case.path, case.fields)
        else:
            form = aiohttp.FormData(default_to_multipart=True)
            for name, value in case.fields.items():
                form.add_field(name, value)
            for name, data in case.files.items():
                form.add_field(name, data, filename=f"{name}.png", content_type="image/png")
            async with session.post(f"{gateway.base}{case.path}", data=form) as answer:
                status, body = answer.status, await answer.json()
        assert status == 400, body
        assert body["error"]["param"] == case.member, body
        assert case.code in ("", body["error"]["code"])
        assert upstream.received == []
        db = gateway.db()
        assert db.execute("SELECT count(*) FROM requests WHERE state != 'refused'").fetchone() == (0,)
        db.close()
