"""Labels outside the vocabulary, mapped into it: by a table of aliases first, then by WordNet.

A class of the vocabulary is never mapped. What nothing maps stays as the model wrote it. Every mapped label is counted,
by kind in an image's defects and by name in the provenance, for mapping may raise the numbers.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from r1sgg_cli.errors import ConfigError
from r1sgg_cli.scene_graph.aliases import SHIPPED, Aliases, load_aliases, plain_predicate, shipped_aliases
from r1sgg_cli.scene_graph.graph import SceneGraph, Triplet
from r1sgg_cli.scene_graph.vocabulary import Vocabulary


class Dictionary(Protocol):
    """What finds a class where no alias does: `wordnet.WordNet`."""

    @property
    def source(self) -> str:
        """What it is, for the provenance."""

    def object_class(self, name: str) -> str | None:
        """The class that an object of this name belongs to."""

    def predicate_class(self, predicate: str) -> str | None:
        """The class that says the same as this predicate."""


class Mapped(NamedTuple):
    """What a label becomes, and by which means."""

    label: str
    by: str | None = None
    """`alias` or `wordnet`; None where it stays what it is."""
    swaps: bool = False
    """The two ends of the triplet change places."""


@dataclass(slots=True)
class LabelMapping:
    """Maps graphs into a vocabulary and keeps count. Labels repeat, so each is looked up once."""

    vocabulary: Vocabulary
    aliases: Aliases | None = None
    dictionary: Dictionary | None = None
    sources: Mapping[str, str | None] = field(default_factory=dict)
    """What the provenance says of the tables: `aliases` and `wordnet`, None for what is off."""
    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """(`objects`, `predicates` or `swapped_predicates`; as written; class) → how often."""
    _objects: dict[str, Mapped] = field(default_factory=dict)
    _predicates: dict[str, Mapped] = field(default_factory=dict)

    def apply(self, graph: SceneGraph, *, objects_are_given: bool = False) -> tuple[SceneGraph, Counter[str]]:
        """The mapped graph, ids and boxes as they were, and how often each kind of mapping was made."""
        defects: Counter[str] = Counter()
        names = graph.names if objects_are_given else tuple(self._object(name, defects) for name in graph.names)
        triplets = tuple(self._triplet(triplet, defects) for triplet in graph.triplets)
        return (replace(graph, names=names, triplets=triplets) if defects else graph), defects

    def record(self) -> dict[str, Any]:
        """For the provenance: the tables that were on, and what was mapped to what how often, most often first."""
        mapped: dict[str, dict[str, int]] = {"objects": {}, "predicates": {}, "swapped_predicates": {}}
        for (part, label, target), count in sorted(self.counts.items(), key=lambda item: (-item[1], item[0])):
            mapped[part][f"{label} → {target}"] = count
        return {**self.sources, "mapped": mapped}

    def _object(self, name: str, defects: Counter[str]) -> str:
        mapped = self._objects.get(name)
        if mapped is None:
            mapped = self._objects[name] = self._find_object(name)
        if mapped.by:
            defects[f"object_mapped_by_{mapped.by}"] += 1
            self.counts["objects", name, mapped.label] += 1
        return mapped.label

    def _triplet(self, triplet: Triplet, defects: Counter[str]) -> Triplet:
        mapped = self._predicates.get(triplet.predicate)
        if mapped is None:
            mapped = self._predicates[triplet.predicate] = self._find_predicate(triplet.predicate)
        if not mapped.by:
            return triplet
        part = "swapped_predicates" if mapped.swaps else "predicates"
        defects[f"{'swapped_' if mapped.swaps else ''}predicate_mapped_by_{mapped.by}"] += 1
        self.counts[part, triplet.predicate, mapped.label] += 1
        subject, target = (triplet.object, triplet.subject) if mapped.swaps else (triplet.subject, triplet.object)
        return Triplet(subject, mapped.label, target)

    def _find_object(self, name: str) -> Mapped:
        if not self.vocabulary.objects or name in self.vocabulary.objects:
            return Mapped(name)
        if self.aliases is not None and name in self.aliases.objects:
            return Mapped(self.aliases.objects[name], "alias")
        return self._looked_up(name, self.dictionary.object_class if self.dictionary else None)

    def _find_predicate(self, predicate: str) -> Mapped:
        if not self.vocabulary.predicates or predicate in self.vocabulary.predicates:
            return Mapped(predicate)
        if self.aliases is not None:
            for form in (predicate, plain_predicate(predicate)):
                if form in self.vocabulary.predicates:
                    return Mapped(form, "alias")
                if form in self.aliases.predicates:
                    return Mapped(self.aliases.predicates[form], "alias")
                if form in self.aliases.swapped_predicates:
                    return Mapped(self.aliases.swapped_predicates[form], "alias", swaps=True)
        return self._looked_up(predicate, self.dictionary.predicate_class if self.dictionary else None)

    def _looked_up(self, label: str, look_up: Callable[[str], str | None] | None) -> Mapped:
        found = look_up(label) if look_up else None
        return Mapped(label) if found is None else Mapped(found, "wordnet")


def label_mapping(
    vocabulary: Vocabulary,
    *,
    aliases: bool | None = None,
    alias_file: Path | None = None,
    load_dictionary: Callable[[Vocabulary], Dictionary] | None = None,
) -> LabelMapping:
    """The mapping that is asked for; `aliases` None: by the shipped table where the vocabulary has one.

    Raises `ConfigError` where what is asked for cannot be done.
    """
    switches = {"--aliases": aliases, "--alias-file": alias_file, "--wordnet": load_dictionary}
    asked = [name for name, value in switches.items() if value]
    if asked and not (vocabulary.objects or vocabulary.predicates):
        raise ConfigError(
            f"`{asked[0]}`: the answers have no vocabulary to map labels into; name one when they are asked for"
            " (`r1sgg infer --vocabulary`), or here for answers of the published layout"
        )
    shipped = None if aliases is False else shipped_aliases(vocabulary)
    if aliases and not shipped:
        raise ConfigError(
            f"`--aliases`: there is a table for {', '.join(SHIPPED)} and parts of them only, which this vocabulary is"
            " not; write your own and name it with `--alias-file`"
        )
    name, table = shipped or (None, None)
    if alias_file is not None:
        own = load_aliases(alias_file, vocabulary)
        name, table = (f"{name}, {alias_file}", table.merged(own)) if table else (str(alias_file), own)
    dictionary = load_dictionary(vocabulary) if load_dictionary else None
    sources = {"aliases": name, "wordnet": dictionary.source if dictionary else None}
    return LabelMapping(vocabulary, table, dictionary, sources)
