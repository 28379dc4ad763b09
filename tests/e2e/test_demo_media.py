"""The demo vendor's pictures, sounds and vectors, by the official client: what a first try of the gateway costs."""

from __future__ import annotations

import base64
from pathlib import Path

from tests.support.clients import Wire, async_client
from tests.support.gateway import booked, running

CONFIG = """
    ledger: ledger.db
    channels:
      - {name: demo, type: demo, models: ['*']}
"""
PNG = b"\x89PNG\r\n\x1a\n"


async def test_what_the_demo_draws_and_says(tmp_path: Path) -> None:
    wire = Wire()
    async with running(tmp_path, CONFIG) as gateway, async_client(gateway, wire) as client:
        drawn = await client.images.generate(model="demo-image", prompt="a fox", n=2, response_format="b64_json")
        assert [base64.b64decode(each.b64_json or "")[:8] for each in drawn.data or ()] == [PNG, PNG]
        assert booked(gateway, wire.request_id) == ("settled", 80_000_000)
        said = await client.audio.speech.create(
            model="demo-speech", voice="alloy", input="Hello", response_format="wav"
        )
        assert said.content.startswith(b"RIFF")
        assert booked(gateway, wire.request_id) == ("settled", 5 * 15_000)
        heard = await client.audio.transcriptions.create(model="demo-transcribe", file=("a.wav", said.content))
        assert heard.text
        seconds = (len(said.content) - 44) / 16_000
        assert booked(gateway, wire.request_id) == ("settled", round(seconds * 100_000))
        assert gateway.differences() == []
