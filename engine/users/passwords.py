"""Passwords: argon2id hashes and what a password must be. Slow on purpose; never on a loop."""

import secrets

import argon2

from engine.errors import EngineError

MIN_CHARS = 12
MAX_CHARS = 256
_HASHER = argon2.PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
# What is checked for a name that nobody has, so that it takes as long as for one that somebody has.
_NOBODY = _HASHER.hash(secrets.token_urlsafe(18))


class PasswordError(EngineError):
    """Raised when a password is not one that can be set."""

    exit_code = 1


def hash_password(password: str) -> str:
    """Its argon2id hash. Raises PasswordError: too short, too long."""
    if not MIN_CHARS <= len(password) <= MAX_CHARS:
        raise PasswordError(
            f"A password has {MIN_CHARS} to {MAX_CHARS} characters, and this one {len(password)}."
        )
    return _HASHER.hash(password)


def is_password(password_hash: str | None, password: str) -> bool:
    """True when the hash is of this password. None: nobody's hash; as slow, and never true."""
    try:
        matches = _HASHER.verify(password_hash or _NOBODY, password[: MAX_CHARS + 1])
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False
    return matches and password_hash is not None


def one_time_password() -> str:
    """A random password for somebody's first sign-in."""
    return secrets.token_urlsafe(15)
