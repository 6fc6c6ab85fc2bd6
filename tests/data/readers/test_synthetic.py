"""Generated scenes as a source: training is sparse, testing is whole."""

from r1sgg_cli.data.readers.synthetic import open_synthetic
from tests.data.annotated import images_of


def test_training_is_sparse_and_testing_is_whole() -> None:
    source = open_synthetic(num_images=3, num_test=2, seed=0, drop_relationships=1.0)
    images = images_of(source)
    assert [image.split for image in images] == ["train"] * 3 + ["test"] * 2
    assert [len(image.relationships) for image in images] == [1, 1, 1, 3, 3]
    assert source.num_images == {"train": 3, "test": 2}
    assert [image.image_id for image in images_of(source)] == [image.image_id for image in images], (
        "read anew, the same"
    )
