"""Which images of a folder have an answer, read again and again while other processes add to it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from r1sgg_cli.inference.answers_file import BrokenLine, Place, answer_lines, answers_files

_NOTHING: Mapping[str, int] = MappingProxyType({})


class AnsweredImages:
    """A reader of a folder's files of answers that goes on where it stopped, and keeps none of them in memory."""

    def __init__(self, out_dir: Path, begun_at: Mapping[str, int] = _NOTHING) -> None:
        """Nothing is read yet.

        A record that an image could not be asked about is an answer, unless it begins before `begun_at` of its file, in
        bytes: it is an earlier run's then, and the picture may have been mended.
        """
        self.has_errors = False
        """Whether there is such a record, of whichever run, in what was read."""
        self._out_dir = out_dir
        self._begun_at = begun_at
        self._places: dict[str, Place] = {}
        self._broken: list[BrokenLine] = []
        self._cut: dict[str, BrokenLine] = {}  # last lines, which may still become whole

    @property
    def broken(self) -> tuple[BrokenLine, ...]:
        """The lines without an answer that were passed over."""
        return (*self._broken, *self._cut.values())

    def read(self) -> Iterator[str]:
        """Ids of the images whose answers were added since the last call; some may come twice.

        A last line without its newline is read again the next time. Lines that hold no answer are passed over. Raises
        `AnswersError`.
        """
        for path in answers_files(self._out_dir):
            self._cut.pop(path.name, None)
            for place, after, found in answer_lines(path, self._places.get(path.name, Place())):
                self._places[path.name] = after
                if not isinstance(found, BrokenLine):
                    self.has_errors |= found.error is not None
                    if found.error is None or place.offset >= self._begun_at.get(path.name, 0):
                        yield found.image_id
                elif after == place:
                    self._cut[path.name] = found
                else:
                    self._broken.append(found)
