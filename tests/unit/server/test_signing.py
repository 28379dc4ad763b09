"""Who pays: signatures as AWS computes them, roles and tokens from loopback endpoints, no secret in a fault."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from msgspec.structs import replace

from oneapi_cli.providers.table import VENDORS
from oneapi_cli.server.credentials import Signer
from oneapi_cli.values.asks import Call
from oneapi_cli.values.errors import Unreachable
from oneapi_cli.values.vendor import Channel
from tests.support.upstream import Received, Script, Upstream, Writer

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
STATIC = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": SECRET, "region": "us-east-1"}
BODY = b'{"messages":[]}'
URL = "https://bedrock-runtime.us-east-1.amazonaws.com/model/us.amazon.nova-lite-v1%3A0/converse"


@pytest.fixture(autouse=True)
def _nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The identities of whoever runs the tests are none of theirs."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "GOOGLE_", "CLOUDSDK_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))
    monkeypatch.setenv("PATH", str(tmp_path))  # no gcloud to ask


def channel(type_: str, *keys: str, **options: str) -> Channel:
    row = VENDORS[type_]
    return Channel(name="cloud", vendor=row, base=row.base, keys=keys, models={}, options=options)


def call(url: str = URL, body: bytes = BODY) -> Call:
    return Call(
        method="POST",
        url=url,
        headers={"Content-Type": "application/json", "Accept": "application/json"},
        body=body,
        connect_seconds=1,
        first_byte_seconds=1,
        idle_seconds=1,
        stream_seconds=1,
    )


# --- AWS ------------------------------------------------------------------------------------------------------------


def signature(headers: Mapping[str, str], asked: Call, secret: str, region: str) -> str:
    """The `Authorization` that AWS's algorithm gives, written down anew from its description."""
    lower = {name.lower(): value for name, value in headers.items()}
    claimed = lower["authorization"]
    names = claimed.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    key_id = claimed.partition("Credential=")[2].partition("/")[0]
    address = urlsplit(asked.url)
    values = {"host": address.netloc, "content-type": "application/json", **lower}
    canonical = "\n".join(
        [
            asked.method,
            quote(address.path, safe="/~"),
            address.query,
            *(f"{name}:{values[name]}" for name in names),
            "",
            ";".join(names),
            hashlib.sha256(asked.body if isinstance(asked.body, bytes) else b"").hexdigest(),
        ]
    )
    moment = lower["x-amz-date"]
    scope = f"{moment[:8]}/{region}/bedrock/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    made = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    return f"AWS4-HMAC-SHA256 Credential={key_id}/{scope}, SignedHeaders={';'.join(names)}, Signature={made}"


@pytest.mark.parametrize(
    ("url", "body", "token"),
    [
        (URL, BODY, ""),
        (URL, BODY, "session"),
        (URL, b"x" * (1 << 19), ""),
        ("http://127.0.0.1:8123/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fa/invoke", BODY, ""),
    ],
)
async def test_static_keys_sign(url: str, body: bytes, token: str) -> None:
    asked = call(url, body)
    signer = Signer()
    options = STATIC | ({"session_token": token} if token else {})
    for _ in range(2):  # the first one in a thread
        found = await signer.sign(channel("bedrock", **options), "", asked)
        lower = {name.lower(): value for name, value in found.items()}
        assert lower["authorization"] == signature(found, asked, SECRET, "us-east-1")
        assert lower.get("x-amz-security-token", "") == token
        assert "host" not in lower
        assert SECRET not in str(found)


async def test_the_region_is_that_of_the_host_or_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    own = {name: value for name, value in STATIC.items() if name != "region"}
    with pytest.raises(Unreachable, match=r"cloud.*region"):
        await Signer().sign(channel("bedrock", **own), "", call())
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    found = await Signer().sign(channel("bedrock", **own), "", call())
    assert "/eu-west-3/bedrock/" in str(found)


async def test_a_bedrock_key_is_a_bearer(monkeypatch: pytest.MonkeyPatch) -> None:
    signer = Signer()
    by_option = channel("bedrock", region="us-east-1", bearer="ABSK1")
    assert await signer.sign(by_option, "", call()) == {"authorization": "Bearer ABSK1"}
    by_key = replace(channel("bedrock", "ABSK2", region="us-east-1"), headers={"X-Team": "a"})
    assert await signer.sign(by_key, "ABSK2", call()) == {"authorization": "Bearer ABSK2", "x-team": "a"}
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "ABSK3")
    unsaid = channel("bedrock", region="us-east-1")
    assert await signer.sign(unsaid, "", call()) == {"authorization": "Bearer ABSK3"}
    assert "AWS4-HMAC" in str(await signer.sign(channel("bedrock", **STATIC), "", call()))


async def test_the_chain_and_a_profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shared = tmp_path / "credentials"
    shared.write_text(f"[work]\naws_access_key_id = AKIDWORK\naws_secret_access_key = {SECRET}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(shared))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    signer = Signer()
    for profile, key_id in (("work", "AKIDWORK"), ("", "AKIDENV")):
        found = await signer.sign(channel("bedrock", region="us-east-1", profile=profile), "", call())
        assert f"Credential={key_id}/" in str(found)
        assert dict(found)["Authorization"] == signature(found, call(), SECRET, "us-east-1")


@pytest.mark.parametrize("options", [{}, {"profile": "nobody"}, {"role_arn": "arn:aws:iam::1:role/r"}])
async def test_no_credentials_say_what_to_do(options: dict[str, str]) -> None:
    with pytest.raises(Unreachable, match="cloud") as none:
        await Signer().sign(channel("bedrock", region="us-east-1", **options), "", call())
    assert "access_key_id" in none.value.message
    assert none.value.code == "no_credentials"
    assert not none.value.sent


ROLE = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>role-secret</SecretAccessKey><SessionToken>role-token</SessionToken>
<Expiration>2999-01-01T00:00:00Z</Expiration></Credentials><AssumedRoleUser><Arn>a</Arn><AssumedRoleId>b</AssumedRoleId>
</AssumedRoleUser></AssumeRoleResult></AssumeRoleResponse>"""


async def test_a_role_is_assumed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def sts(request: Received, writer: Writer) -> None:
        await writer.answer(200, ROLE.encode(), {"Content-Type": "text/xml"})

    async with Upstream([sts]) as upstream:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", upstream.url.removesuffix("/v1"))
        signer = Signer()
        assuming = channel("bedrock", **STATIC, role_arn="arn:aws:iam::123456789012:role/r", external_id="e1")
        found = await asyncio.gather(*(signer.sign(assuming, "", call()) for _ in range(5)))
        asked = parse_qs(upstream.received[0].body.decode())
        assert len(upstream.received) == 1
    assert (asked["RoleArn"], asked["ExternalId"]) == (["arn:aws:iam::123456789012:role/r"], ["e1"])
    for each in found:
        assert dict(each)["X-Amz-Security-Token"] == "role-token"
        assert dict(each)["Authorization"] == signature(each, call(), "role-secret", "us-east-1")


# --- Google ---------------------------------------------------------------------------------------------------------


def service_account(url: str) -> dict[str, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return {
        "type": "service_account",
        "project_id": "p1",
        "private_key_id": "1",
        "private_key": pem,
        "client_email": "a@p1.iam.gserviceaccount.com",
        "token_uri": f"{url}/token",
    }


@asynccontextmanager
async def tokens(lifetime: int = 3600, status: int = 200) -> AsyncIterator[tuple[Upstream, str]]:
    """A token endpoint that counts the tokens it hands out."""
    count = 0

    async def hand_out(request: Received, writer: Writer) -> None:
        nonlocal count
        count += 1
        said: dict[str, Any] = {"access_token": f"ya29.{count}", "expires_in": lifetime, "token_type": "Bearer"}
        await writer.answer(status, said if status == 200 else {"error": "invalid_grant", "error_description": SECRET})

    script: Script = hand_out
    async with Upstream([script] * 8) as upstream:
        yield upstream, upstream.url.removesuffix("/v1")


@pytest.mark.parametrize("inline", [True, False])
async def test_a_service_account_gets_a_token_once(tmp_path: Path, inline: bool) -> None:
    async with tokens() as (upstream, root):
        document = json.dumps(service_account(root))
        (tmp_path / "account.json").write_text(document)
        asked = channel("vertex", credentials=document if inline else str(tmp_path / "account.json"))
        signer = Signer()
        found = await asyncio.gather(*(signer.sign(asked, "", call()) for _ in range(5)))
        assert found == [{"authorization": "Bearer ya29.1"}] * 5
        assert await signer.sign(asked, "", call()) == {"authorization": "Bearer ya29.1"}
        assert len(upstream.received) == 1
        said = parse_qs(upstream.received[0].body.decode())
    assert said["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    claims = said["assertion"][0].split(".")[1]
    claimed = json.loads(base64.urlsafe_b64decode(claims + "=="))
    assert claimed["scope"] == "https://www.googleapis.com/auth/cloud-platform"
    assert claimed["iss"] == "a@p1.iam.gserviceaccount.com"


async def test_a_token_is_renewed_before_its_end() -> None:
    clock = [0.0]
    async with tokens(lifetime=600) as (upstream, root):
        signer = Signer(lambda: clock[0])
        asked = channel("vertex", credentials=json.dumps(service_account(root)))
        assert await signer.sign(asked, "", call()) == {"authorization": "Bearer ya29.1"}
        clock[0] = 320.0
        assert await signer.sign(asked, "", call()) == {"authorization": "Bearer ya29.1"}  # good still; renewed beside
        async with asyncio.timeout(5):
            while (await signer.sign(asked, "", call()))["authorization"] == "Bearer ya29.1":  # noqa: ASYNC110 - a thread
                await asyncio.sleep(0.01)
        assert len(upstream.received) == 2


async def test_a_users_credentials_name_the_project_that_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    async with tokens() as (_, root):
        monkeypatch.setattr("google.oauth2.credentials._GOOGLE_OAUTH2_TOKEN_ENDPOINT", f"{root}/token")
        document = {
            "type": "authorized_user",
            "client_id": "c",
            "client_secret": "s",
            "refresh_token": "r",
            "quota_project_id": "q1",
        }
        found = await Signer().sign(channel("vertex", credentials=json.dumps(document)), "", call())
    assert found["x-goog-user-project"] == "q1"
    assert found["authorization"].startswith("Bearer ")


async def test_default_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with tokens() as (_, root):
        (tmp_path / "adc.json").write_text(json.dumps(service_account(root)))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "adc.json"))
        assert await Signer().sign(channel("vertex"), "", call()) == {"authorization": "Bearer ya29.1"}


async def test_express_mode_is_a_key() -> None:
    assert await Signer().sign(channel("vertex", "AIza"), "AIza", call()) == {"x-goog-api-key": "AIza"}


@pytest.mark.parametrize("said", ["/nowhere/account.json", '{"type":"service_account"}', '{"type":"odd"}', "{", ""])
async def test_no_google_credentials_say_what_to_do(said: str) -> None:
    with pytest.raises(Unreachable, match="cloud") as none:
        await Signer().sign(channel("vertex", credentials=said), "", call())
    assert "credentials:" in none.value.message
    assert none.value.code == "no_credentials"


async def test_a_refusal_of_the_token_endpoint_stays_there() -> None:
    async with tokens(status=400) as (_, root):
        with pytest.raises(Unreachable) as none:
            asked = channel("vertex", credentials=json.dumps(service_account(root)))
            await Signer().sign(asked, "", call())
    assert SECRET not in none.value.message + str(none.value.cause)


async def test_other_channels_have_plain_keys() -> None:
    assert await Signer().sign(channel("openai", "sk-1"), "sk-1", call()) == {"authorization": "Bearer sk-1"}
