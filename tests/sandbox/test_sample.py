from ragkit.sandbox.sample import DATA, sample_rows


def test_the_sample_has_the_rows_that_its_readme_describes():
    rows = sample_rows()
    assert len(rows) >= 240
    assert all(row["content"].startswith(f"{row['name']} is a {row['category']}.") for row in rows)
    assert "1548" in (DATA / "README.md").read_text()
