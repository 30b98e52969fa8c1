"""What the tree needs from outside: a place for bytes, and records."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import NamedTuple, Protocol, runtime_checkable

from armillary.base.ids import PersonId
from armillary.vospace.access_model import JobAccess
from armillary.vospace.access_ports import AccessRecords
from armillary.vospace.model import Node, Page, Weight
from armillary.vospace.paths import VOSPath
from armillary.vospace.upload_ports import UploadRecords


class Stored(NamedTuple):
    """What a byte store has under a key. `size` is None where to know it takes another question: `ByteStore.size`."""

    key: str
    published_at: datetime
    size: int | None


class ByteWriter(Protocol):
    """Bytes on their way in. Nobody sees them until `publish` has returned."""

    def write(self, chunk: bytes) -> None:
        """Append. After an error only `discard` may follow.

        Raises:
            OutOfSpace: the medium is full.
        """
        ...

    def publish(self) -> None:
        """Make all that was written readable under the key, durably: it survives a power cut.

        After an error nothing is readable. Called once, instead of `discard`.
        """
        ...

    def discard(self) -> None:
        """Forget all that was written and give the room back. Harmless at any moment, also twice."""
        ...

    def pause(self) -> None:
        """Let go, and keep all that was written for `UnfinishedBytes.resume`: it survives a power cut.

        Instead of `publish` or `discard`. After an error some of it may be gone: ask `kept`.
        """
        ...


class UnfinishedBytes(Protocol):
    """Writes that were begun and neither published nor discarded: paused, or cut short by the end of a process.

    Nobody reads them but who writes on. A writer that is still open elsewhere must not be written to after
    somebody else has resumed its key: who calls this sees to that.
    """

    def kept(self, key: str) -> int | None:
        """Return how many bytes `resume` would find; None when there is no unfinished write under this key.

        All that was written before a `pause`. After the sudden end of a process perhaps less than was written,
        but always an unbroken beginning of it.
        """
        ...

    def resume(self, key: str, size: int) -> ByteWriter:
        """Go on writing after the first `size` bytes; what was kept beyond them is forgotten.

        Raises:
            NotFound: there is no unfinished write, or it has kept less.
        """
        ...

    def read_kept(self, key: str, stop: int) -> Iterator[bytes]:
        """Return the first `stop` bytes of an unfinished write in chunks, as `ByteStore.read` does.

        Raises:
            NotFound: there is no unfinished write, or it has kept less.
        """
        ...

    def forget(self, key: str) -> None:
        """Give the room of an unfinished write back. No error when there is none."""
        ...

    def unfinished(self, before: datetime) -> Iterator[str]:
        """Walk over the keys of the writes that nobody has written to since a moment."""
        ...

    def forget_unfinished(self, before: datetime, spare: Collection[str] = ()) -> int:
        """Forget writes that nobody has written to since a moment, but for the keys to `spare`; return how many."""
        ...


class ByteStore(UnfinishedBytes, Protocol):
    """Immutable byte strings under keys of our choosing (32 hexadecimal digits, never used twice)."""

    def begin(self, key: str) -> ByteWriter:
        """Start to write under a new key."""
        ...

    def read(self, key: str, start: int, stop: int) -> Iterator[bytes]:
        """Return the bytes from `start` up to `stop` (exclusive) in chunks, of about a megabyte.

        What has been started can be read to its end, even when the key is deleted meanwhile, where the medium
        can promise that (a folder, memory). Nothing is held once the iterator is gone.

        Raises:
            NotFound: there is no such key; said at once, not at the first chunk.
        """
        ...

    def size(self, key: str) -> int | None:
        """Return how many bytes there are under a key; None when there is none."""
        ...

    def delete(self, key: str) -> None:
        """Give the room back. No error when there is no such key."""
        ...

    def published(self, shard: str = "") -> Iterator[Stored]:
        """Walk over all published keys, or those that begin with the two digits `shard`."""
        ...


@runtime_checkable
class LocalFiles(Protocol):
    """A byte store whose bytes are files of this machine."""

    def open_file(self, key: str) -> int:
        """Open the file with the bytes of a key, to read only, and return its descriptor, which the caller closes.

        Raises:
            NotFound: there is no such key.
        """
        ...


class Tree(Protocol):
    """The node records inside one transaction."""

    def walk(self, path: VOSPath) -> Sequence[Node]:
        """Return the nodes on the way from the top to `path`, as far as they exist; the top always does."""
        ...

    def children(self, parent: Node, page: Page) -> Sequence[Node]:
        """Return one page of a container's children, in an order that changes elsewhere do not disturb.

        Raises:
            NotFound: the child to start from is gone, and without it nobody knows where it stood.
        """
        ...

    def below(self, node: Node) -> Iterable[Node]:
        """Return all nodes under a node, each after its parent."""
        ...

    def add(self, node: Node) -> Node:
        """Add a node under its `parent_id` and return it with its id.

        Raises:
            Conflict: code `duplicate_node`; the name is taken.
        """
        ...

    def save(self, node: Node) -> None:
        """Write what may change: place, times, bytes, sharing, lock, properties, quota.

        Not `used`, see `charge`. A blob that the node named before is handed to `Records.reap`.

        Raises:
            Conflict: code `duplicate_node`; the name is taken in the new place.
        """
        ...

    def save_properties(self, changed: Sequence[Node]) -> None:
        """Write sharing, lock, types, properties and the time of change of some hundred nodes at most.

        Not their places, bytes or quotas: `save` does.
        """
        ...

    def remove(self, *removed: Node) -> None:
        """Remove some hundred nodes at most, and all below them. Their blobs are handed to `Records.reap`."""
        ...

    def charge(self, home: Node, octets: int) -> int:
        """Add `octets` (which may be negative) to what a home uses, and return the new sum."""
        ...

    def weights(self, parent: Node, most: int) -> Sequence[Weight]:
        """Say how much is in each child of a container, the heaviest first; counting stops after `most` nodes."""
        ...

    def shared_with(self, owner: PersonId, group: str, most: int) -> Sequence[VOSPath]:
        """Return where nodes of an owner are whose own lists of readers or writers have a group in them, by path."""
        ...

    def note_sharing(self, node: Node) -> None:
        """Note that a node was shared with groups, or no longer: `offered_to` finds it from now on."""
        ...

    def note_access(self, access: JobAccess) -> int:
        """Note what a job does, together with its doing; returns the note's number."""
        ...

    def offered_to(
        self, groups: Collection[str], most: int, start: int = 0, besides: PersonId | None = None
    ) -> Sequence[VOSPath]:
        """Return where the nodes are that were shared with one of some groups, at most `most`, from the id `start`.

        They come by their ids, which only grow; without those that are `besides`' own.
        """
        ...

    def offered_by(self, owner: PersonId, most: int, start: int = 0) -> Sequence[VOSPath]:
        """Return where an owner's nodes are that were shared with any group, as `offered_to`."""
        ...

    def property_names(self) -> Sequence[str]:
        """Return the URIs of the free properties that nodes have, or had once."""
        ...


class Records(Protocol):
    """Where nodes are kept, in transactions: all of a `with` block holds or, after an error, none."""

    @property
    def accesses(self) -> AccessRecords:
        """Where it is kept what jobs did, beside the nodes."""
        ...

    @property
    def uploads(self) -> UploadRecords:
        """Where resumable uploads are kept, beside the nodes."""
        ...

    def reading(self) -> AbstractContextManager[Tree]:
        """A consistent view; never waits for writers."""
        ...

    def writing(self) -> AbstractContextManager[Tree]:
        """One writer at a time. On disk when the block is left."""
        ...

    def reap(self, delete: Callable[[str], None], limit: int) -> int:
        """Call `delete` on at most `limit` blobs that no node names any more; return how many there were.

        A blob whose deletion fails, or is cut short by a crash, comes again.
        """
        ...

    def blobs_in_use(self, keys: Collection[str]) -> frozenset[str]:
        """Return those of `keys` that a node names or that wait for `reap`."""
        ...

    def signing_key(self, proposal: bytes) -> bytes:
        """Return the secret that signs pre-authorised URLs; the first proposal ever made becomes it."""
        ...
