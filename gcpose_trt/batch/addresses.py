"""Addresses of files, here or in a store, and how they are written down: without the secrets of signed links."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from gcpose_trt.errors import GcposeError

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*(::[A-Za-z][A-Za-z0-9+.\-]*)*://")
# User and password; on the web a user alone is a token. (abfs://container@account is no login.)
_LOGIN = re.compile(r"(?i)(?<=https://)[^/?#\s]*@|(?<=http://)[^/?#\s]*@|(?<=://)[^/?#\s@:]*:[^/?#\s]*@")
_IN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9+.\-:]*://[^\s'\"<>]+")
_PUNCTUATION = ").,;:]}"  # after an address in a sentence
_PARAMETER = re.compile(r"([?&])([^=&?\s]+)=([^&\s'\"<>]*)")

# Parameters of signing as a whole: S3, GCS, Alibaba, Tencent, Huawei. All but the signature change with each signing.
_SIGNING = re.compile(r"x-(amz|goog|oss|cos|obs)-.*|q-(sign-.*|ak|key-time|header-list|url-param-list|signature)")
_SECRET = re.compile(
    r"(.*[_.-])?(token|secret|password|passwd|passphrase|pwd|pass|sig|sign|signature|hmac|jwt|bearer|auth"
    r"|authorization|credentials?)|.*(token|secret|password|signature)"
    r"|((.*[_.-])?(api|access|account|app|auth|private|secret|session|shared|subscription)[_.-]?)?key"
    r"|(aws|google|oss)?access-?key-?id|googleaccessid|key-pair-id|session[_-]?id|hdn(ts|ea|tl)|gda"
)
# Parts of a signature that are nothing without one, and other parameters elsewhere: of CloudFront, GCS, CDNs, ...
_COMPANIONS = frozenset({"expires", "expire", "expiry", "expiration", "exp", "policy", "hash-algorithm", "keyname"})
# ... and, beside "sig" and "sv", those of Azure's shared access signatures.
_AZURE = frozenset(
    {"sv", "ss", "srt", "sr", "sp", "st", "se", "sip", "spr", "si", "ses", "sdd", "skoid", "sktid", "skt", "ske", "sks"}
    | {"skv", "saoid", "suoid", "scid", "sduoid", "skdutid"}
)
_FILE = re.compile(r"(?i).*\.(mp4|m4v|mov|mkv|webm|avi|ts|mpe?g|wmv|jpe?g|png|webp|bmp|tiff?|gif)")


class Address(str):
    """An address as it may be shown: wherever it is printed, compared or recorded, its secret is not there.

    What is made of it by methods of strings is plain text without the secret, so that a slip cannot tell it.

    Attributes:
        link: the address with its secret, for whoever opens it.
    """

    link: str

    def __new__(cls, text: str, link: str) -> Address:
        new = super().__new__(cls, text)
        new.link = link
        return new

    def __getnewargs__(self) -> tuple[str, str]:  # type: ignore[override]  # a string has no link
        return str(self), self.link


def address(link: str) -> str:
    """Return an address as it may be shown, an `Address` where it has a secret.

    Left out are the parameters of a signature, all of them: a link that was signed anew is the same address. Others
    stay, in their order.
    """
    text = _without_secrets(link)
    return link if text == link else Address(text, link)


def link_of(uri: str) -> str:
    """Return what opens an address."""
    return uri.link if isinstance(uri, Address) else uri


def redact(text: str) -> str:
    """Return a text, or an address, without the logins and signatures of the addresses in it."""

    def shown(match: re.Match[str]) -> str:
        found = match[0].rstrip(_PUNCTUATION)
        return _without_secrets(_LOGIN.sub("", found)) + match[0][len(found) :]

    def starred(match: re.Match[str]) -> str:
        signed = match[2].lower() == "policy" and "signature=" in text.lower()  # CloudFront's
        secret = signed or _is_secret(match[2], match[3])
        return f"{match[1]}{match[2]}=***" if secret else match[0]

    # The second finds the rest of addresses that a library gives in parts.
    return _PARAMETER.sub(starred, _IN_TEXT.sub(shown, text))


def _without_secrets(link: str) -> str:
    before, hash_sign, fragment = link.partition("#")
    path, question_mark, query = before.partition("?")
    shown = _kept(query) if question_mark else ""
    rest = _kept(fragment) if hash_sign else ""
    if (shown, rest) == (query, fragment):
        return link
    return path + (f"?{shown}" if shown else "") + (f"#{rest}" if rest else "")


def _kept(query: str) -> str:
    """Return the parameters that are no secret."""
    parts = [(unquote(part.partition("=")[0]).lower(), part) for part in query.split("&")]
    gone = {name for name, part in parts if _is_secret(name, part.partition("=")[2])}
    if not gone:
        return query
    gone |= _COMPANIONS
    if {"sig", "sv"} <= {name for name, _ in parts}:
        gone |= _AZURE
    return "&".join(part for name, part in parts if name not in gone)


def _is_secret(name: str, value: str) -> bool:
    name = unquote(name).lower()
    if name == "key" and _FILE.fullmatch(unquote(value)):  # an object's, as stores call their names
        return False
    return (_SIGNING.fullmatch(name) or _SECRET.fullmatch(name.strip("_"))) is not None


def is_remote(uri: str) -> bool:
    """Say whether this is an address and not a path of this machine."""
    return _SCHEME.match(uri) is not None


def is_web(uri: str) -> bool:
    """Say whether an address is a web server's."""
    return uri.lower().startswith(("http://", "https://"))


def has_magic(uri: str) -> bool:
    """Say whether a name may be a pattern; the question mark of a web address is none."""
    return any(sign in uri for sign in ("*[" if is_web(uri) else "*?["))


def absolute(name: str, base: str = "") -> str:
    """Return a name as an absolute path or as an `address`.

    Args:
        name: a path, or an address; file:// is a path of this machine.
        base: folder or address that a relative path starts from; the working directory if empty.

    Raises:
        GcposeError: an empty name.
    """
    if not name:
        raise GcposeError("an input is an empty name; give a video, a picture, a folder, a pattern or a manifest")
    if name.startswith("file://"):
        name = name[len("file://") :]
    if is_remote(name):
        return address(name)
    if is_remote(base):
        if name.startswith("/"):
            return os.path.normpath(name)
        return address(f"{base.rstrip('/')}/{name}")
    return os.path.abspath(Path(base, name))  # noqa: PTH100  # links keep the name that the user gave them


def suffix(uri: str) -> str:
    """Return the ending of a file's name in small letters, with its dot; what follows a question mark is no name."""
    return PurePosixPath(uri.partition("?")[0] if is_remote(uri) else uri).suffix.lower()


def parent(uri: str) -> str:
    """Return the folder that a file is in."""
    if not is_remote(uri):
        return str(Path(uri).parent)
    return (uri.partition("?")[0] if is_web(uri) else uri).rpartition("/")[0]


def check_address(uri: str) -> None:
    """Refuse an address with a login: there are better places for it, which do not show in the list of processes.

    Raises:
        GcposeError: it has one. The message does not.
    """
    if is_remote(uri) and _LOGIN.search(link_of(uri)):
        raise GcposeError(
            f"{redact(uri)} was given with a password or a user; put that into ~/.netrc or fsspec's configuration and "
            "leave it out of the address"
        )
