"""Where does a small file lie that two processes speak through? Beside Spark's checkpoints, so on whatever storage these are.

A folder is written to by plain files: the new text takes the old one's place in one step, and nobody needs a JVM to look. Any other
storage is reached through Hadoop, as the checkpoints themselves.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Callable


class Texts(Protocol):
    """Small files by name."""

    def read(self, name: str) -> str | None:
        """Text of a file; None when there is none.

        Raises:
            OSError: if the storage does not answer.
        """

    def write(self, name: str, text: str) -> None:
        """Put a file there, in place of one that is there.

        Raises:
            OSError: if it cannot be written.
        """

    def delete(self, name: str) -> None:
        """A file that is not there is no error.

        Raises:
            OSError: if it cannot be deleted.
        """


class LocalTexts:
    """In a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str) -> str | None:
        """See `Texts`."""
        try:
            return (self._folder / name).read_text()
        except FileNotFoundError:
            return None

    def write(self, name: str, text: str) -> None:
        """See `Texts`."""
        self._folder.mkdir(parents=True, exist_ok=True)
        partial = self._folder / f".{name}.{uuid4().hex}"
        with partial.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self._folder / name)

    def delete(self, name: str) -> None:
        """See `Texts`."""
        (self._folder / name).unlink(missing_ok=True)


class HadoopTexts:
    """On any storage that Spark reaches. An object store shows a file when it is whole."""

    def __init__(self, session: Any, root: str) -> None:  # noqa: ANN401 (Py4J has no types)
        self._jvm = session._jvm  # noqa: SLF001
        self._root = root.rstrip("/")
        self._path = self._jvm.org.apache.hadoop.fs.Path
        self._files = self._path(root).getFileSystem(session._jsc.hadoopConfiguration())  # noqa: SLF001

    def read(self, name: str) -> str | None:
        """See `Texts`."""
        from py4j.protocol import Py4JJavaError

        path = self._path(f"{self._root}/{name}")
        try:
            if not self._files.exists(path):
                return None
            opened = self._files.open(path)
            try:
                return str(self._jvm.org.apache.commons.io.IOUtils.toString(opened, "UTF-8"))
            finally:
                opened.close()
        except Py4JJavaError as error:
            raise OSError(f"{name}: {error.java_exception}") from error

    def write(self, name: str, text: str) -> None:
        """See `Texts`."""
        from py4j.protocol import Py4JJavaError

        try:
            opened = self._files.create(self._path(f"{self._root}/{name}"), True)  # noqa: FBT003 (Java has no names)
            try:
                opened.write(bytearray(text.encode()))
            finally:
                opened.close()
        except Py4JJavaError as error:
            raise OSError(f"{name}: {error.java_exception}") from error

    def delete(self, name: str) -> None:
        """See `Texts`."""
        from py4j.protocol import Py4JJavaError

        try:
            self._files.delete(self._path(f"{self._root}/{name}"), False)  # noqa: FBT003 (Java has no names)
        except Py4JJavaError as error:
            raise OSError(f"{name}: {error.java_exception}") from error


class FakeTexts:
    """In memory."""

    def __init__(self) -> None:
        self.there: dict[str, str] = {}

    def read(self, name: str) -> str | None:
        """See `Texts`."""
        return self.there.get(name)

    def write(self, name: str, text: str) -> None:
        """See `Texts`."""
        self.there[name] = text

    def delete(self, name: str) -> None:
        """See `Texts`."""
        self.there.pop(name, None)


def texts_at(root: str, session: Callable[[], Any]) -> Texts:
    """The files below a root.

    Args:
        root: a folder, or the URL of one.
        session: a Spark session, asked for only where the root is no folder of this machine.
    """
    parts = urlsplit(root)
    return LocalTexts(Path(parts.path)) if parts.scheme in ("", "file") else HadoopTexts(session(), root)
