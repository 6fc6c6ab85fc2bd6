"""Which images of a folder have an answer, read again and again while other processes add to it."""

from pathlib import Path

from r1sgg_cli.inference.answers import answers_files, parse_answer_line


class AnsweredImages:
    """A reader of a folder's files of answers that goes on where it stopped."""

    def __init__(self, out_dir: Path) -> None:
        """Nothing is read yet."""
        self._out_dir = out_dir
        self._offsets: dict[str, int] = {}

    def read(self) -> list[str]:
        """Ids of the images whose answers were added since the last call; some may come twice.

        A last line without its newline is read again the next time. Lines that hold no answer are passed over.
        """
        found = []
        for path in answers_files(self._out_dir):
            offset = self._offsets.get(path.name, 0)
            with path.open("rb") as file:
                file.seek(offset)
                content = file.read()
            self._offsets[path.name] = offset + content.rfind(b"\n") + 1
            for line in content.split(b"\n"):
                try:
                    found.append(parse_answer_line(line).image_id)
                except (KeyError, TypeError, ValueError):
                    continue
        return found
