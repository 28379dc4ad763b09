"""AWS Signature Version 4, by botocore's own signer. Pure but for the clock, which botocore reads itself.

Only what AWS must not see changed is signed: host, content type, date, security token and the body's digest. The
path is signed as it will be sent: percent-encoded once on the wire, once more by the algorithm.
Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html (2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from ...values.asks import Call

SERVICE = "bedrock"


class AwsKeys(Struct, frozen=True, kw_only=True):
    """What a call is signed with. Secrets: never logged, and not in the repr."""

    access_key_id: str
    secret_access_key: str
    session_token: str = ""

    def __repr__(self) -> str:
        return "AwsKeys(…)"


def sigv4_headers(call: Call, keys: AwsKeys, region: str) -> Mapping[str, str]:
    """The headers that prove the call: `Authorization`, `X-Amz-Date`, and the security token where there is one."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import ReadOnlyCredentials

    kind = next((value for name, value in call.headers.items() if name.lower() == "content-type"), "")
    headers = {"Content-Type": kind} if kind else {}
    request = AWSRequest(method=call.method, url=call.url, data=call.body, headers=headers)
    credentials = ReadOnlyCredentials(keys.access_key_id, keys.secret_access_key, keys.session_token or None)
    SigV4Auth(credentials, SERVICE, region).add_auth(request)
    return {name: value for name, value in request.headers.items() if name.lower() not in ("content-type", "host")}
