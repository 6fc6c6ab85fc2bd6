"""The data sets that the paper published, by their names on the hub (PSG and VG150, the authors' own uploads)."""

from collections.abc import Mapping

VG150_TRAIN = "JosephZ/vg150_train_sgg_prompt"
VG150_VAL = "JosephZ/vg150_val_sgg_prompt"
PSG_TRAIN = "JosephZ/psg_train_sg"
PSG_TEST = "JosephZ/psg_test_sg"

TEST_SET_OF: Mapping[str, str] = {VG150_TRAIN: VG150_VAL, PSG_TRAIN: PSG_TEST}
"""What the paper evaluates on, by what it trains on."""

PUBLISHED_ROWS: Mapping[str, int] = {VG150_TRAIN: 56_224, VG150_VAL: 5_000, PSG_TRAIN: 46_563, PSG_TEST: 2_186}
"""Their images (the data sets' own pages)."""
