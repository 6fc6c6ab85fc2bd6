"""WordNet as a dictionary for labels that no alias knows, read through nltk.

Decisions, each against a fault of the published mapping.
1. The head of a compound decides: "car tire" is a tire. A compound that WordNet has as a word of its own is that word,
   and neither of its parts: a teddy is no bear, a hot dog no dog.
2. A noun belongs to a class that is a synonym, else to the nearest of what it is a kind of, the class taken in its
   first sense that is a thing (WordNet's `physical entity`): a frisbee, a disc and thus a sheet, is no plate.
3. The most frequent sense decides, and only where every sense that leads elsewhere, or nowhere, is rarer in WordNet's
   counts: else the word is ambiguous and stays as it is.
4. A predicate is mapped to another form of the same verb with the same words after it ("rides" → "riding"), never from
   a past participle, which may be a passive. Nothing else WordNet relates verbs by keeps who does what to whom.
"""

import io
import warnings
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from nltk import data as nltk_data
from nltk.corpus.reader import WordNetCorpusReader

from r1sgg_cli.errors import ConfigError
from r1sgg_cli.scene_graph.vocabulary import Vocabulary

DEBIAN_FOLDER = Path("/usr/share/wordnet")
"""Where Debian's `wordnet-base` puts WordNet 3.0."""
MAX_STEPS = 6
"""How far up a kind is looked for: a beagle is a dog after three steps."""
_NUM_LEXICOGRAPHER_FILES = 45


class _Reader(WordNetCorpusReader):
    """nltk's reader, without what it asks for that Debian leaves out and nothing here uses."""

    def open(self, file: str) -> Any:
        """A file of the dictionary; the list of the lexicographers' files is made up."""
        if file == "lexnames":
            return io.StringIO("".join(f"{i:02} file{i} 1\n" for i in range(_NUM_LEXICOGRAPHER_FILES)))
        return super().open(file)

    def map_wn(self, version: str = "wordnet") -> None:
        """Where other languages' dictionaries have their senses in this one."""


class WordNet:
    """Looks for the class of a vocabulary that a label belongs to; labels are in normal form."""

    def __init__(self, root: Any, vocabulary: Vocabulary) -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The multilingual functions are not available")
            self._reader = _Reader(root, None)
        self.source = f"WordNet {self._reader.get_version()}"
        self._objects = frozenset(vocabulary.objects)
        self._predicates = vocabulary.predicates
        self._things: dict[str, Any] = {}

    def object_class(self, name: str) -> str | None:
        """The class of a noun or of the head of a compound; None where there is none or the word is ambiguous."""
        words = name.split()
        senses = self._senses(words)
        while not senses and len(words) > 1:
            words = words[1:]
            if " ".join(words) in self._objects:
                return " ".join(words)
            senses = self._senses(words)
        found = [self._nearest_class(sense) for sense in senses]
        if not found or found[0] is None:
            return None
        word = self._reader.morphy("_".join(words), "n")
        counts = [_count(sense, word) for sense in senses]
        rivals = [count for count, other in zip(counts, found, strict=True) if other != found[0]]
        return found[0] if counts[0] > max(rivals, default=-1) else None

    def predicate_class(self, predicate: str) -> str | None:
        """The first predicate of the vocabulary with another form of the same verb before the same words."""
        verb, *rest = predicate.split()
        base = self._verb(verb)
        return self._verb_forms.get((base, *rest)) if base and verb in (base, *_inflected(base)) else None

    @cached_property
    def _verb_forms(self) -> dict[tuple[str, ...], str]:
        forms: dict[tuple[str, ...], str] = {}
        for predicate in self._predicates:
            verb, *rest = predicate.split()
            base = self._verb(verb)
            if base and verb in (base, *_inflected(base)):
                forms.setdefault((base, *rest), predicate)
        return forms

    def _verb(self, word: str) -> str | None:
        base: str | None = self._reader.morphy(word, "v")
        return base

    def _senses(self, words: Sequence[str]) -> list[Any]:
        """Noun senses, the most frequent first; names of people and places are none."""
        return [s for s in self._reader.synsets("_".join(words), "n") if not s.instance_hypernyms()]

    def _nearest_class(self, sense: Any) -> str | None:
        if synonyms := _names(sense) & self._objects:
            return min(synonyms) if _is_thing(sense) else None
        level = [sense]
        for _ in range(MAX_STEPS):
            level = [parent for synset in level for parent in synset.hypernyms()]
            for synset in level:
                if kinds := sorted(name for name in _names(synset) & self._objects if self._thing(name) == synset):
                    return kinds[0]
        return None

    def _thing(self, name: str) -> Any:
        """The first sense of a class that is a thing; None where none is."""
        if name not in self._things:
            senses = self._senses(name.split())
            self._things[name] = next((sense for sense in senses if _is_thing(sense)), None)
        return self._things[name]


def _names(synset: Any) -> set[str]:
    """Its words in normal form."""
    return {name.replace("_", " ").lower() for name in synset.lemma_names()}


def _is_thing(synset: Any) -> bool:
    return any(parent.name() == "physical_entity.n.01" for parent in synset.closure(lambda s: s.hypernyms()))


def _count(sense: Any, word: str) -> int:
    """How often the word has this sense in the texts that WordNet counted."""
    return sum(lemma.count() for lemma in sense.lemmas() if lemma.name().lower() == word)


def load_wordnet(vocabulary: Vocabulary) -> WordNet:
    """The dictionary of this machine. Raises `ConfigError` with the way to get it where there is none."""
    for place in ("corpora/wordnet", "corpora/wordnet.zip/wordnet/"):
        with suppress(LookupError):
            return WordNet(nltk_data.find(place), vocabulary)
    if not (DEBIAN_FOLDER / "data.noun").is_file():
        raise ConfigError(
            "`--wordnet`: there is no WordNet on this machine; `apt-get install wordnet-base` or"
            " `python -m nltk.downloader wordnet` brings it"
        )
    nltk_data.path.append(str(DEBIAN_FOLDER))  # nltk reads below its own paths alone
    return WordNet(str(DEBIAN_FOLDER), vocabulary)


def _inflected(base: str) -> tuple[str, ...]:
    """Third person and present participle of a verb, as English spells them."""
    third = f"{base[:-1]}ies" if base.endswith("y") and base[-2:-1] not in "aeiou" else f"{base}s"
    stem = base[:-1] if base.endswith("e") and not base.endswith("ee") else base
    irregular = {"lie": "lying", "tie": "tying", "die": "dying", "have": "having"}
    return (
        third,
        f"{base}es",
        "has" if base == "have" else third,
        irregular.get(base, f"{stem}ing"),
        f"{base}{base[-1]}ing",
    )
