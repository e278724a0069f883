"""A bucket of an object store as a place: S3, Google Cloud Storage, Azure, and what speaks like them.

A put is whole or not at all, and one that is to create refuses where the object is there. Credentials and endpoints
come from the environment variables of each store's own tools.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator
from datetime import timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING

from hplaw.errors import StoreError, install
from hplaw.runs.place import AbstractPlace


if TYPE_CHECKING:
    from obstore.store import AzureStore, GCSStore, S3Store


CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}
"""The schemes of addresses, and the environment variables that usually hold the credentials."""

ENDPOINTS = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "gs": ("GOOGLE_BASE_URL",),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}
"""The environment variables that name another server than the provider's, the first that is set."""

RETRIES, PATIENCE = 6, timedelta(seconds=30)
"""How often a request that a server did not answer is made again, and for how long: about six seconds for one that
is not there."""

CONNECT = timedelta(seconds=5)
"""The time in which a server must take a connection."""

NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "404 Not Found")
"""What a list, or a put, is answered where there is no such bucket."""

NO_CREDENTIALS = (
    "169.254.169.254",
    "metadata.google.internal",
    "token request",
    "must be specified",
    "Missing Access",
    "Missing Secret",
)
"""What errors name where no credentials, or only a part of them, are set: the provider's services that are asked then,
or the part."""


class Bucket(AbstractPlace):
    """The objects of a bucket whose names begin with a prefix.

    **Arguments:**

    - `scheme`: s3, gs or az.
    - `bucket`: its name; the container's for az.
    - `prefix`: a path within it, or nothing.

    **Raises:** `StoreError` where obstore is not installed, or the environment holds what is no endpoint.
    """

    def __init__(self, scheme: str, bucket: str, prefix: str) -> None:
        if find_spec("obstore") is None:
            message = f"{scheme}://{bucket} needs obstore, which is not installed; {install('sweep')}"
            raise StoreError(message)
        self._scheme, self._bucket, self._prefix = scheme, bucket, prefix.strip("/")
        self._endpoint = _endpoint(scheme)
        with self._asking():
            self._store = _open(scheme, bucket, self._prefix)

    # obstore's types name arro3's tables, which are neither used nor installed: hence the ignored rule below

    @property
    def address(self) -> str:
        return f"{self._scheme}://{self._bucket}/{self._prefix}".rstrip("/")

    def exists(self) -> bool:
        with self._asking():
            return any(True for _ in self._store.list(chunk_size=1))  # pyright: ignore[reportUnknownMemberType]

    def names(self, folder: str = "", *, start: str = "") -> list[str]:
        base = f"{folder}/" if folder else ""
        if not start:
            with self._asking():
                found = self._store.list_with_delimiter(folder or None)["objects"]  # pyright: ignore[reportUnknownMemberType]
            return sorted(each["path"].removeprefix(base) for each in found)
        names: list[str] = []
        with self._asking():
            # object stores list in the order of names, after an offset: until one begins otherwise
            offset = f"{base}{start[:-1]}" or None
            for chunk in self._store.list(folder or None, offset=offset):  # pyright: ignore[reportUnknownMemberType]
                for each in chunk:
                    name = each["path"].removeprefix(base)
                    if not name.startswith(start) and name > start:
                        return names
                    if name.startswith(start) and "/" not in name:
                        names.append(name)
        return names

    def read(self, name: str) -> bytes | str:
        try:
            with self._asking():
                return bytes(self._store.get(name).bytes())
        except FileNotFoundError:
            return "cannot be read: it was removed"

    def create(self, name: str, body: bytes) -> bool:
        from obstore.exceptions import AlreadyExistsError

        try:
            with self._asking(put=True):
                self._store.put(name, body, mode="create")
        except AlreadyExistsError:
            return False
        return True

    def write(self, name: str, body: bytes) -> None:
        with self._asking(put=True):
            self._store.put(name, body, mode="overwrite", use_multipart=False)

    def delete(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError), self._asking():
            self._store.delete(name)

    def leftovers(self, *, older_s: float = 0.0) -> list[str]:
        """Return nothing: an object that was not put whole is not there."""
        return []

    @contextlib.contextmanager
    def _asking(self, *, put: bool = False) -> Generator[None]:
        """Turn the errors of a request into sentences, but for those that say that an object is, or is not, there."""
        from obstore.exceptions import AlreadyExistsError, BaseError

        try:
            yield
        except AlreadyExistsError:
            raise
        except FileNotFoundError as error:
            if put:
                raise StoreError(self._words(str(error))) from None
            raise
        except (BaseError, ValueError, OSError) as error:
            raise StoreError(self._words(str(error))) from None

    def _words(self, text: str) -> str:
        """Return what an error of the object store means, and what to do."""
        first = text.partition("\n")[0]
        where = f" at {self._endpoint}" if self._endpoint else ""
        credentials = CREDENTIALS[self._scheme]
        if any(word in first for word in NO_CREDENTIALS):
            return f"{self.address}: no credentials are set; set {credentials}, and see docs/sweeps.md for others"
        if "403 Forbidden" in first or "401 Unauthorized" in first:
            return f"{self.address}: access was denied{where}; set {credentials} to those of an account that may read and write there"
        if any(word in text for word in NO_BUCKET):
            return f"{self.address}: there is no bucket '{self._bucket}'{where}; make it, or give another address"
        if "error sending request" in first or "timed out" in first:
            return f"{self.address}: no server answers{where}; check the network{self._variable()}"
        return f"{self.address}: {first}"

    def _variable(self) -> str:
        named = " or ".join(name for name in ENDPOINTS[self._scheme] if name in os.environ)
        return f" and {named}" if named else ""


def _endpoint(scheme: str) -> str:
    """Return the server that the environment names, or nothing for the provider's.

    **Raises:** `StoreError` for what is no URL, which would end the process.
    """
    for name in ENDPOINTS[scheme]:
        if value := os.environ.get(name, ""):
            if not value.startswith(("http://", "https://")):
                message = f"{name}={value} is no endpoint; give a URL, for example http://127.0.0.1:9000"
                raise StoreError(message)
            return value
    return ""


def _open(scheme: str, bucket: str, prefix: str) -> S3Store | GCSStore | AzureStore:
    from obstore.store import AzureStore, GCSStore, S3Store

    kind = {"s3": S3Store, "gs": GCSStore, "az": AzureStore}[scheme]
    return kind(
        bucket,
        prefix=prefix or None,
        # whether a connection is encrypted is for the endpoint to say
        client_options={"allow_http": True, "connect_timeout": CONNECT},
        retry_config={"max_retries": RETRIES, "retry_timeout": PATIENCE},
    )
