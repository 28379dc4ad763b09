"""Who pays for a call: signatures that botocore recomputes, tokens asked for once, and faults without secrets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from msgspec.structs import replace

from oneapi_cli.providers.table import VENDORS
from oneapi_cli.providers.urls import build_url
from oneapi_cli.server.credentials import Signer
from oneapi_cli.values.asks import Call
from oneapi_cli.values.errors import Unreachable
from oneapi_cli.values.vendor import Channel
from tests.e2e.test_every_pair import service_account
from tests.support.upstream import Received, Script, Upstream, Writer

MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
BODY = '{"messages": "é"}'.encode()
ACCESS, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


def channel(vendor: str, **options: str) -> Channel:
    row = VENDORS[vendor]
    base = row.base.replace("{region}", options.get("region", "eu-west-1"))
    return Channel(name="c", vendor=row, base=base, keys=(), models={"m": MODEL}, speaks=row.speaks, options=options)


def call_for(where: Channel, model: str = MODEL) -> Call:
    return Call(
        method="POST",
        url=build_url(where, "bedrock_converse", model),
        headers={"Content-Type": "application/json", "Accept": "application/json"},
        body=BODY,
        connect_seconds=1,
        first_byte_seconds=1,
        idle_seconds=1,
        stream_seconds=1,
    )


def recomputed(call: Call, said: Mapping[str, str], region: str, token: str | None = None) -> str:
    """The signature over what is sent, by botocore, at the date that the headers say."""
    request = AWSRequest(method=call.method, url=call.url, data=call.body, headers={"Content-Type": "application/json"})
    if token:
        request.headers["X-Amz-Security-Token"] = token
    request.headers["X-Amz-Date"] = said["X-Amz-Date"]
    request.context["timestamp"] = said["X-Amz-Date"]
    signer = SigV4Auth(ReadOnlyCredentials(ACCESS, SECRET, token), "bedrock", region)
    return signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)


@pytest.mark.parametrize("model", [MODEL, "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/abc"])
async def test_a_signature_is_what_botocore_computes(model: str) -> None:
    where = channel("bedrock", region="eu-west-1", access_key_id=ACCESS, secret_access_key=SECRET)
    call = call_for(where, model)
    said = await Signer().sign(where, "", call)
    assert f"Credential={ACCESS}/" in said["Authorization"]
    assert "/eu-west-1/bedrock/aws4_request" in said["Authorization"]
    assert said["Authorization"].endswith(f"Signature={recomputed(call, said, 'eu-west-1')}")
    assert SECRET not in str(said)


async def test_temporary_keys_bring_their_token() -> None:
    options = {"access_key_id": ACCESS, "secret_access_key": SECRET, "session_token": "tok"}
    where = channel("bedrock", region="us-east-1", **options)
    call = call_for(where)
    said = await Signer().sign(where, "", call)
    assert said["X-Amz-Security-Token"] == "tok"
    assert said["Authorization"].endswith(f"Signature={recomputed(call, said, 'us-east-1', 'tok')}")


async def test_the_chain_is_asked_in_a_thread_and_once(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    where = replace(channel("bedrock"), base="http://127.0.0.1:9")
    signer = Signer()
    several = await asyncio.gather(*(signer.sign(where, "", call_for(where)) for _ in range(5)))
    assert all("/us-west-2/bedrock/" in said["Authorization"] for said in several)


async def test_a_profile(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    folder = home / ".aws"
    folder.mkdir()
    (folder / "credentials").write_text(f"[work]\naws_access_key_id = {ACCESS}\naws_secret_access_key = {SECRET}\n")
    where = channel("bedrock", region="eu-west-1", profile="work")
    call = call_for(where)
    said = await Signer().sign(where, "", call)
    assert said["Authorization"].endswith(f"Signature={recomputed(call, said, 'eu-west-1')}")


@pytest.mark.parametrize("way", ["option", "key", "environment"])
async def test_bearer_keys(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    where = channel("bedrock", region="eu-west-1", **({"bearer": "bk-1"} if way == "option" else {}))
    if way == "environment":
        monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "bk-1")
    said = await Signer().sign(where, "bk-1" if way == "key" else "", call_for(where))
    assert said == {"authorization": "Bearer bk-1"}


async def test_what_cannot_be_had_is_a_sentence_without_secrets(
    monkeypatch: pytest.MonkeyPatch, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for where in (
        channel("bedrock", region="eu-west-1"),
        channel("bedrock", region="eu-west-1", profile="nobody"),
        channel("vertex", credentials=str(home / "missing.json"), project="p"),
        channel("vertex", credentials='{"type": "service_account", "private_key": "not-a-secret"}', project="p"),
    ):
        call = call_for(channel("bedrock", region="eu-west-1"))
        with pytest.raises(Unreachable, match="credentials that work") as refused:
            await Signer().sign(where, "", call)
        assert "not-a-secret" not in refused.value.message + caplog.text


async def test_a_region_that_nobody_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    where = replace(channel("bedrock", access_key_id=ACCESS, secret_access_key=SECRET), base="http://127.0.0.1:9")
    with pytest.raises(Unreachable, match="AWS region"):
        await Signer().sign(where, "", call_for(where))


def handing_out(seconds: int) -> Script:
    count = 0

    async def script(request: Received, writer: Writer) -> None:
        nonlocal count
        count += 1
        assert b"grant_type=" in request.body
        token = {"access_token": f"ya29.{count}", "expires_in": seconds, "token_type": "Bearer"}
        await writer.answer(200, token)

    return script


async def test_a_service_account_asks_once_and_again_before_the_token_expires(tmp_path: Path) -> None:
    now = [0.0]
    async with Upstream([handing_out(3600)]) as there:
        path = service_account(tmp_path, there.url)
        inline = json.dumps(json.loads(path.read_text()))
        for said in (str(path), inline):
            there.received.clear()
            signer = Signer(lambda: now[0])
            where = channel("vertex", credentials=said, project="p")
            call = call_for(channel("bedrock", region="eu-west-1"))
            first = await asyncio.gather(*(signer.sign(where, "", call) for _ in range(4)))
            assert len({each["authorization"] for each in first}) == 1
            assert len(there.received) == 1
            now[0] += 3200
            assert await signer.sign(where, "", call) == first[0]
            now[0] += 500
            assert await signer.sign(where, "", call) != first[0]
            assert len(there.received) == 2


async def test_an_express_key(tmp_path: Path) -> None:
    where = channel("vertex")
    assert await Signer().sign(where, "k", call_for(channel("bedrock", region="eu-west-1"))) == {"x-goog-api-key": "k"}
