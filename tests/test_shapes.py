"""Images whose factors are known show these factors."""

import sys

import numpy as np
import pytest

import tinyvae as tv

SIDE = 32


@pytest.fixture(scope="module")
def drawn():
    return tv.datasets.shapes(300, np.random.default_rng(0), SIDE)


@pytest.fixture(scope="module")
def seen(drawn):
    """What can be measured in the images: area, centre, direction of the longer axis."""
    images = drawn.images.reshape(-1, SIDE, SIDE).astype("float64")
    place, mass = (np.arange(SIDE) + 0.5) / SIDE, images.sum(axis=(1, 2))
    row, column = images.sum(axis=2) @ place / mass, images.sum(axis=1) @ place / mass
    up, right = row[:, None] - place, place - column[:, None]
    xx, yy = np.einsum("nij,nj->n", images, right**2), np.einsum("nij,ni->n", images, up**2)
    xy = np.einsum("nij,ni,nj->n", images, up, right)
    return {"area": mass / SIDE**2, "row": row, "column": column, "angle": np.arctan2(2 * xy, xx - yy) / 2}


def test_the_centre_is_where_it_is_said(drawn, seen):
    for name in ("row", "column"):
        np.testing.assert_allclose(seen[name], drawn.factors[name], rtol=0, atol=0.1 / SIDE)


def test_the_area_is_that_of_the_kind_and_size(drawn, seen):
    size, kind = drawn.factors["size"], drawn.factors["kind"]
    area = size**2 * np.array([np.pi / 2, 4 * 0.75**2 / 2, 1.5 / 2])[kind]
    np.testing.assert_allclose(seen["area"], area, rtol=0.03)


def test_the_longer_axis_has_the_angle(drawn, seen):
    off = (seen["angle"] - drawn.factors["angle"] + np.pi / 2) % np.pi - np.pi / 2  # of half a turn
    assert np.abs(off).max() < 0.03


def test_shapes_lie_inside_and_have_grey_edges(drawn):
    images = drawn.images.reshape(-1, SIDE, SIDE)
    assert images.dtype == "float32" and drawn.images.min() == 0 and drawn.images.max() == 1
    assert ((images > 0) & (images < 1)).any(axis=(1, 2)).all()
    f = drawn.factors
    for name in ("row", "column"):
        assert (f[name] >= f["size"]).all() and (f[name] <= 1 - f["size"]).all()


def test_a_triangle_points_where_its_angle_says():
    angles = np.arange(4) * np.pi / 2
    images = tv.datasets.shapes(
        4, np.random.default_rng(0), SIDE, kind="triangle", row=0.5, column=0.5, size=0.4, angle=angles
    ).images.reshape(4, SIDE, SIDE)
    right, up, left, down = images
    assert right[SIDE // 2, -5] > 0 == right[SIDE // 2, 4]
    np.testing.assert_allclose(up, right.T[::-1], atol=0.25)
    np.testing.assert_allclose(left, right[:, ::-1], atol=0.25)
    np.testing.assert_allclose(down, up[::-1], atol=0.25)


def test_factors_are_independent_and_uniform():
    f = tv.datasets.shapes(2000, np.random.default_rng(1), 4).factors
    inside = [(f[name] - f["size"]) / (1 - 2 * f["size"]) for name in ("row", "column")]
    values = np.stack([f["kind"], *inside, f["size"], f["angle"]])
    off = np.corrcoef(values) - np.eye(5)
    assert np.abs(off).max() < 4.5 / np.sqrt(2000)
    ends = [(0, 2), (0, 1), (0, 1), (0.15, 0.3), (0, np.pi)]
    for value, (low, high) in zip(values, ends):
        n_kinds = 3 if high == 2 else np.inf
        deviation = (high - low) / np.sqrt(12) * np.sqrt((n_kinds + 1) / (n_kinds - 1) if n_kinds == 3 else 1)
        assert abs(value.mean() - (low + high) / 2) < 4.5 * deviation / np.sqrt(2000)


def test_one_seed_gives_one_set_and_a_fixed_factor_leaves_the_others():
    def draw(**factors):
        return tv.datasets.shapes(50, np.random.default_rng(3), 8, **factors)

    one, two, fixed = draw(), draw(), draw(angle=0.5, kind=np.arange(50) % 3)
    np.testing.assert_array_equal(one.images, two.images)
    for name in ("row", "column", "size"):
        np.testing.assert_array_equal(one.factors[name], fixed.factors[name])
    assert (fixed.factors["angle"] == 0.5).all() and fixed.factors["kind"].tolist() == [*range(3)] * 16 + [0, 1]
    assert one.image_shape == (8, 8) and one.images.shape == (50, 64)


def test_many_are_drawn_a_few_at_a_time(monkeypatch):
    whole = tv.datasets.shapes(30, np.random.default_rng(0), 8)
    monkeypatch.setattr(sys.modules["tinyvae.datasets.shapes"], "CHUNK", 3 * 40**2)
    np.testing.assert_array_equal(tv.datasets.shapes(30, np.random.default_rng(0), 8).images, whole.images)


@pytest.mark.parametrize("options, message", [
    ({"colour": 1}, "a factor must be one of 'kind', 'row', 'column', 'size', 'angle', got 'colour'"),
    ({"kind": "star"}, "kind must be one of 'ellipse', 'rectangle', 'triangle', got 'star'"),
    ({"kind": 3}, "kind must be 0 to 2, got 3"),
    ({"kind": 1.0}, "kind must be an index or a name, got float64"),
    ({"row": [0.5, 0.5]}, r"row must be one number or 5, got shape \(2,\)"),
    ({"column": -0.1}, "column must be 0 to 1, got -0.1"),
    ({"size": 0}, "size must be above 0 and at most 1, got 0.0"),
    ({"size": np.nan}, "size must be above 0 and at most 1, got nan"),
    ({"angle": np.inf}, "angle must be finite, got inf"),
    ({"angle": "steep"}, "angle must be real numbers"),
    ({"n_pixels": 3}, "n_pixels must be at least 4, got 3"),
    ({"n": 0}, "n must be at least 1, got 0"),
    ({"rng": 0}, "rng must be a numpy.random.Generator"),
])  # fmt: skip
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        tv.datasets.shapes(**{"n": 5, "rng": np.random.default_rng(0), **options})
