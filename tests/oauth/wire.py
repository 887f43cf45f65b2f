"""A wire with tokens for tests: the memory backend, behind an address that asks for an access token."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import requests

from django_ctct.backends.memory import MemoryBackend
from django_ctct.backends.oauth2 import OAuthClient
from django_ctct.exceptions import AuthenticationFailed
from django_ctct.types import Permit, RemoteContact, RemoteList


class ConsentBackend(MemoryBackend):
    """Asks for a token before each verb, and for another one once when it is refused."""

    uses_tokens = True
    options = (*MemoryBackend.options, *OAuthClient.options, "access_token", "api_url")

    def __init__(self, options: Any, **more: Any) -> None:
        super().__init__(options, **more)
        self.api_url = options.get("api_url", "")

    def find(self, email: str) -> RemoteContact | None:
        self._speak()
        return super().find(email)

    def get(self, remote_id: str) -> RemoteContact | None:
        self._speak()
        return super().get(remote_id)

    def create(self, permit: Permit) -> RemoteContact:
        self._speak()
        return super().create(permit)

    def lists(self) -> Iterator[RemoteList]:
        self._speak()
        return super().lists()

    def _speak(self) -> None:
        if self.tokens is None or not self.api_url:
            return
        token = self.tokens.current()
        if self._ask(token) == 401 and self._ask(self.tokens.instead_of(token)) == 401:
            raise AuthenticationFailed("the token is not accepted", code="unauthorized", status=401)

    def _ask(self, token: str) -> int:
        answer = requests.get(self.api_url, headers={"Authorization": f"Bearer {token}"}, timeout=10)
        return answer.status_code
