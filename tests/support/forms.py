"""What a vendor reads of a form: an independent reading, by the standard library's mail parser."""

from __future__ import annotations

from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP

from .upstream import Received


@dataclass(frozen=True)
class ReadForm:
    """fields in order, with all values of a name; files as (file name, type, bytes)."""

    fields: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, list[tuple[str, str, bytes]]] = field(default_factory=dict)


def form_of(received: Received) -> ReadForm:
    head = b"Content-Type: " + received.headers["content-type"].encode() + b"\r\n\r\n"
    message = BytesParser(policy=HTTP).parsebytes(head + received.body)
    read = ReadForm()
    assert message.is_multipart()
    for part in message.iter_parts():
        assert part.get_content_disposition() == "form-data"
        name = str(part.get_param("name", header="content-disposition"))
        content, file = part.get_payload(decode=True), part.get_filename()
        assert isinstance(content, bytes)
        if file is None:
            read.fields.setdefault(name, []).append(content.decode())
        else:
            read.files.setdefault(name, []).append((file, part.get_content_type(), content))
    return read
