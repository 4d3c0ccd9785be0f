from ragkit.migration.schema.index.trial import IndexTrial


def test_the_time_grows_a_little_faster_than_the_rows():
    trial = IndexTrial(2000, 1.0, 1.0, 2.0)
    assert trial.seconds_for(2000) == 2.0
    assert 20 < trial.seconds_for(20_000) < 30
    assert trial.seconds_for(1) == trial.seconds_for(0) == 0
