"""The scene graph: values, geometry, parsing, labels, vocabularies, similarity, matching. Numpy and scipy only."""
