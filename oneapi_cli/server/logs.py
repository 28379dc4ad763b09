"""One line per request, for people or for programs. No bodies, no query strings, no keys: only what an `Account`
holds.
"""

from __future__ import annotations

import logging
import sys
import time

import msgspec

from ..gateway.gate import Account
from ..values.money import format_usd

requests = logging.getLogger("oneapi.requests")


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and the members of an Account where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        account = getattr(record, "account", None)
        if isinstance(account, Account):
            line.update(msgspec.structs.asdict(account))
            line["cost_usd"] = format_usd(account.cost_nanos).replace("$", "").replace(",", "")
        else:
            line["message"] = record.getMessage()
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


class PlainFormatter(logging.Formatter):
    """For a terminal: time, then the sentence, control characters made visible."""

    def format(self, record: logging.LogRecord) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        text = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in record.getMessage())
        level = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        line = f"{clock} {level}{text}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def set_up(log_format: str) -> None:
    """Send everything from `info` up to stderr, in the format asked for."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else PlainFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)


def log_account(account: Account) -> None:
    """The one line per request."""
    where = f" via {account.channel}" if account.channel else ""
    why = f" ({account.reason})" if account.reason else ""
    again = f" after {account.attempts} attempts" if account.attempts > 1 else ""
    requests.info(
        "%s %s %s%s %s %s %s in %.2fs%s%s",
        account.request_id,
        account.token,
        account.model or "-",
        where,
        account.status,
        account.state,
        format_usd(account.cost_nanos),
        account.seconds,
        again,
        why,
        extra={"account": account},
    )
