"""Secrets and access tokens: how they are made, told apart and checked. Nothing here waits."""

import base64
import hashlib
import os
import secrets
import uuid
from pathlib import Path
from typing import Any

import jwt
import msgspec

KEY_FILE = "signing.key"
KEY_BYTES = 32
API_PREFIX = "tsk_"
_ALGORITHM = "HS256"
_ISSUER = "tapescan"
_AUDIENCE = "tapescan-api"
_CLAIMS = ["iss", "aud", "sub", "exp", "nbf", "jti", "cv", "fam"]
NS_PER_S = 1_000_000_000


class Access(msgspec.Struct, frozen=True):
    """What an access token says. sub: user id; cv: credentials of the user then; fam: the family
    of its refresh token; exp, nbf: seconds since 1970 UTC; jti: its own name."""

    sub: str
    cv: int
    fam: str
    exp: int
    nbf: int
    jti: str


def new_secret(prefix: str = "") -> str:
    """A secret that nobody can guess."""
    return prefix + secrets.token_urlsafe(32)


def hash_secret(secret: str) -> str:
    """What is stored in place of a secret; needs no salt, as secrets have 256 random bits."""
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


def signing_key(data_dir: Path) -> bytes:
    """The key of access tokens, made at the first call, readable by its owner only.

    Raises OSError; ValueError when the file does not hold a key.
    """
    path = data_dir / KEY_FILE
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        path.chmod(0o600)
    else:
        with os.fdopen(fd, "wb") as file:
            file.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)))
            file.flush()
            os.fsync(file.fileno())
    key = base64.b64decode(path.read_bytes(), validate=True)
    if len(key) != KEY_BYTES:
        raise ValueError(f"{path}: expected a key of {KEY_BYTES} bytes; delete the file.")
    return key


def issue_access(
    key: bytes, user_id: str, credentials: int, family: str, now_ns: int, lifetime_s: int
) -> str:
    """A signed access token that is valid from now on for so long."""
    now_s = now_ns // NS_PER_S
    claims: dict[str, Any] = {
        "iss": _ISSUER, "aud": _AUDIENCE, "sub": user_id, "cv": credentials, "fam": family,
        "nbf": now_s, "exp": now_s + lifetime_s, "jti": uuid.uuid4().hex,
    }  # fmt: skip
    return jwt.encode(claims, key, algorithm=_ALGORITHM)


def read_access(key: bytes, token: str, now_ns: int) -> Access | None:
    """What a token says; None unless it is ours, whole, signed with our key and valid now."""
    options: Any = {"require": _CLAIMS, "verify_exp": False, "verify_nbf": False,
                    "verify_iat": False}  # fmt: skip
    try:
        claims = jwt.decode(
            token, key, algorithms=[_ALGORITHM], audience=_AUDIENCE, issuer=_ISSUER,
            options=options,
        )  # fmt: skip
        access = msgspec.convert(claims, Access)
    except (jwt.PyJWTError, msgspec.ValidationError, ValueError):
        return None
    return access if access.nbf * NS_PER_S <= now_ns < access.exp * NS_PER_S else None
