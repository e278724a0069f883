"""The sources: seeded, train and held-out apart, and what the synthetic text is made of."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import jax
import jax.numpy as jnp
import jax.random as jr

from hplaw.errors import DataError, QueryError
from hplaw_experiments.data import dimensions, load_source
from hplaw_experiments.data.draw import fold_in, random_bits, seed_key


def test_digits_are_split_by_their_seed_and_never_mixed() -> None:
    a, b = load_source("digits", seed=0), load_source("digits", seed=1)
    assert len(a.x) == 1438
    assert len(a.x_held) == 359
    assert not np.array_equal(a.y_held, b.y_held)
    rows = {x.tobytes() for x in np.asarray(a.x)}
    assert not rows & {x.tobytes() for x in np.asarray(a.x_held)}
    size = dimensions("digits")
    assert (size.features, size.outputs, size.side) == (64, 10, 8)


@pytest.mark.parametrize("name", ["digits", "teacher", "language"])
def test_a_batch_is_a_function_of_its_key(name: str) -> None:
    source = load_source(name, seq_len=32)
    draw = jax.jit(lambda key: source.batch(key, 8))
    a, again, b = draw(jr.key(0)), draw(jr.key(0)), draw(jr.key(1))
    assert np.array_equal(a[0], again[0])
    assert np.array_equal(a[1], again[1])
    assert not np.array_equal(a[0], b[0])
    held = jax.jit(lambda source: source.held_out(8))(source)
    assert not np.array_equal(a[0], held[0])


def test_draws_are_those_of_jax_alone_and_mapped() -> None:
    keys, steps = jr.split(jr.key(5), 3), jnp.asarray([0, 7, 2**31 - 1], jnp.int32)
    ours = jax.jit(jax.vmap(lambda key, step: random_bits(fold_in(key, step), 9)))(keys, steps)
    theirs = [jr.bits(jr.fold_in(k, s), (9,), jnp.uint32) for k, s in zip(keys, steps, strict=True)]
    assert np.array_equal(ours, np.stack(theirs))
    for seed in (0, 1, 2**31, 2**32 - 1):
        assert seed_key(seed) == jr.key(seed)


def test_a_teacher_is_learnable_but_not_certain() -> None:
    source = load_source("teacher", {"features": 16, "classes": 4, "sharpness": 3.0})
    x, y = source.batch(jr.key(0), 4000)
    right = float(np.mean(np.argmax(np.asarray(source.logits(x)), axis=-1) == np.asarray(y)))
    assert 0.5 < right < 0.98


def test_the_language_has_zipf_unigrams() -> None:
    source = load_source("language", {"vocab_size": 64}, seq_len=127)
    rows = np.asarray(jax.jit(lambda key: source.rows(key, 1000))(jr.key(0)))
    count = np.bincount(rows.ravel(), minlength=64) / rows.size
    rank = np.arange(64)
    expected = np.log((rank + 2) / (rank + 1)) / np.log(65)
    octave = np.floor(np.log2(rank + 1)).astype(int)
    for o in range(6):  # the ties stay within an octave
        assert count[octave == o].sum() == pytest.approx(expected[octave == o].sum(), rel=0.06)


def test_the_language_ties_pairs_by_topic_and_copies_from_far_back() -> None:
    plain = load_source("language", {"copy": 0.0, "tie": 1.0, "topics": 1}, seq_len=63)
    rows = np.asarray(jax.jit(lambda key: plain.rows(key, 200))(jr.key(0)))
    follow = np.asarray(plain.follow(jnp.asarray(rows[:, 0::2]), jnp.zeros((200, 1), jnp.int32)))
    assert np.array_equal(follow, rows[:, 1::2])
    copying = load_source("language", {"copy": 0.5, "tie": 0.0}, seq_len=511)
    without = load_source("language", {"copy": 0.0, "tie": 0.0}, seq_len=511)

    def echoes(source: Any) -> float:
        rows = np.asarray(jax.jit(lambda key: source.rows(key, 50))(jr.key(1)))
        repeats = [
            np.mean(np.all([rows[:, 64 + i :][:, :300] == rows[:, 64 + i - d :][:, :300] for i in range(6)], axis=0))
            for d in range(8, 60)
        ]
        return float(np.sum(repeats))

    assert echoes(copying) > 3 * echoes(without)
    assert rows.min() >= 0
    assert rows.max() < 256


def test_bytes_of_a_folder_are_read_in_order_and_split(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_bytes(b"second " * 100)
    (tmp_path / "a.txt").write_bytes(b"first " * 100)
    (tmp_path / "picture.png").write_bytes(b"\0" * 100)
    source = load_source("bytes", {"path": str(tmp_path)}, seq_len=8)
    row = bytes(np.concatenate([source.train, source.held]).astype(np.uint8))
    assert row == b"first " * 100 + b"\n" + b"second " * 100
    x, y = source.batch(jr.key(0), 4)
    assert x.shape == y.shape == (4, 8)
    assert np.array_equal(x[:, 1:], y[:, :-1])


@pytest.mark.parametrize("dtype", ["uint16", "uint32"])
@pytest.mark.parametrize("resident", [True, False])
def test_a_token_file_gives_the_same_windows_from_disk_and_device(tmp_path: Path, dtype: str, resident: bool) -> None:
    row = np.arange(5000).astype(dtype)
    row.tofile(tmp_path / "tokens.bin")
    options = {"path": str(tmp_path / "tokens.bin"), "dtype": dtype, "resident": resident}
    source = load_source("tokens", options, seq_len=16)
    x, y = jax.jit(lambda key: source.batch(key, 64))(jr.key(0))
    assert np.array_equal(x + 1, y)
    assert np.asarray(y).max() < 4500
    x_held, y_held = source.held_out(10)
    assert np.array_equal(x_held + 1, y_held)
    assert np.asarray(x_held).min() >= 4500
    assert dimensions("tokens", options).outputs == 5000
    each = jax.vmap(lambda key: source.batch(key, 3)[0])(jr.split(jr.key(1), 2))
    assert each.shape == (2, 3, 16)
    assert np.array_equal(each[0], source.batch(jr.split(jr.key(1), 2)[0], 3)[0])


def test_faults_are_named(tmp_path: Path) -> None:
    for options, name, words in [
        ({}, "digit", "did you mean|give one of"),
        ({"side": 3}, "digits", "it takes none"),
        ({"vocabulary": 3}, "language", "vocab_size"),
        ({}, "bytes", "needs path"),
    ]:
        with pytest.raises(QueryError, match=words):
            load_source(name, options)
    with pytest.raises(DataError, match="holds no text"):
        load_source("bytes", {"path": str(tmp_path)}, seq_len=8)
    with pytest.raises(DataError, match="is no file"):
        load_source("tokens", {"path": str(tmp_path / "none")}, seq_len=8)
    (tmp_path / "short.txt").write_text("short")
    with pytest.raises(DataError, match="too few"):
        load_source("bytes", {"path": str(tmp_path)}, seq_len=64)


def test_a_set_to_download_says_what_it_needs() -> None:
    try:
        import datasets  # noqa: F401
    except ImportError:
        with pytest.raises(DataError, match="pip install datasets"):
            load_source("wikitext", seq_len=8)
    else:
        pytest.skip("the library is installed: a download would follow")
