"""MDPs from arrays in other layouts, and in files."""

import contextlib
import io
import itertools
import os
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import check_is_mdp, check_optimum, random_mdp, seeds
from scipy import sparse

import pve
from pve.worlds.by_name import fingerprint


def same(mdp, other):
    return (mdp.reward == other.reward).all() and (mdp.transition == other.transition).all()


def test_layouts_of_the_transition():
    mdp = random_mdp(0, 4, 2)
    matrices = [mdp.transition[:, a] for a in range(2)]
    for transition, layout in (
        (mdp.transition, None),
        (mdp.transition.tolist(), "SAS"),
        (np.stack(matrices), None),
        (np.stack(matrices), "ASS"),
        (matrices, "ASS"),
        ([sparse.csr_matrix(m) for m in matrices], None),
        ([sparse.coo_array(m) for m in matrices], "ASS"),
    ):
        found = pve.from_arrays(mdp.reward, transition, 0.9, layout=layout)
        assert same(found, mdp)
        assert found.discount == 0.9


def test_as_many_states_as_actions():
    mdp = random_mdp(0, 3, 3)
    first = mdp.transition.swapaxes(0, 1)
    with pytest.raises(ValueError, match=r"\[3, 3, 3\], as many states as actions: say"):
        pve.from_arrays(mdp.reward, mdp.transition, 0.9)
    assert same(pve.from_arrays(mdp.reward, mdp.transition, 0.9, layout="SAS"), mdp)
    assert same(pve.from_arrays(mdp.reward, first, 0.9, layout="ASS"), mdp)
    matrices = [sparse.csr_array(matrix) for matrix in first]
    assert same(pve.from_arrays(mdp.reward, matrices, 0.9), mdp)


@given(seeds)
def test_rewards_by_state_and_by_next_state(seed):
    random, mdp = np.random.default_rng(seed), random_mdp(seed, 4, 2)
    by_state = random.normal(size=4)
    found = pve.from_arrays(by_state, mdp.transition, 0.9)
    assert found.reward.tolist() == [[x, x] for x in by_state]
    by_next = random.normal(size=(4, 2, 4))
    expected = np.zeros((4, 2))
    for s, a, t in itertools.product(range(4), range(2), range(4)):
        expected[s, a] += mdp.transition[s, a, t] * by_next[s, a, t]
    first = mdp.transition.swapaxes(0, 1), by_next.swapaxes(0, 1)
    for transition, reward in (
        (mdp.transition, by_next),
        first,
        tuple([sparse.csr_matrix(m) for m in array] for array in first),
    ):
        found = pve.from_arrays(reward, transition, 0.9)
        np.testing.assert_allclose(found.reward, expected, atol=1e-14)


def test_what_cannot_follow_costs_nothing():
    transition = [[[1, 0], [0, 1]], [[1, 0], [0.5, 0.5]]]
    reward = [[[1, -np.inf], [np.nan, 2]], [[3, np.nan], [1, -np.inf]]]
    mdp = pve.from_arrays(reward, transition, 0.9, layout="SAS")
    assert mdp.reward.tolist() == [[1, 2], [3, 0]]
    assert mdp.legal.tolist() == [[True, True], [True, False]]


def test_pairs_of_state_and_action():
    # The first example of QuantEcon's DiscreteDP; both values are in its documentation.
    states, actions = [0, 0, 1], [0, 1, 0]
    reward, rows = [5, 10, -1], [[0.5, 0.5], [0, 1], [0, 1]]
    for transition in (rows, sparse.csr_matrix(rows)):
        mdp = pve.from_arrays(reward, transition, 0.95, pairs=(states, actions))
        assert mdp.legal.tolist() == [[True, True], [True, False]]
        value, policy = pve.policy_iteration(mdp)
        np.testing.assert_allclose(value, [-8.57142857, -20])
        assert policy.argmax(-1).tolist() == [0, 0]
    product = [[5, 10], [-1, -np.inf]]
    dense = [[[0.5, 0.5], [0, 1]], [[0, 1], [0.5, 0.5]]]
    by_reward = pve.from_arrays(product, dense, 0.95, layout="SAS")
    assert fingerprint(by_reward) == fingerprint(mdp)


def test_numbers_of_actions_may_have_gaps():
    for rows in ([[1], [1]], sparse.csr_matrix([[1.0], [1]])):
        mdp = pve.from_arrays([1, 2], rows, 0.9, pairs=([0, 0], [0, 5]))
        assert mdp.legal.tolist() == [[True, *[False] * 4, True]]
        value, policy = pve.policy_iteration(mdp)
        assert value == pytest.approx([20])
        assert policy.argmax() == 5
    with pytest.raises(ValueError, match="expected integers from 0 to 999"):
        pve.from_arrays([1], [[1]], 0.9, pairs=([0], [10**9]))


TWO = random_mdp(0, 2, 3)
ILLEGAL = {
    "layout": ({"layout": "SSA"}, r"layout is 'SSA'; expected one of 'SAS', 'ASS'"),
    "other layout": ({"layout": "ASS"}, r"\[2, 3, 2\]; expected \[A, S, S\]"),
    "shape": (
        {"transition": np.ones((2, 3, 4))},
        r"\[2, 3, 4\]; expected \[S, A, S\] or",
    ),
    "matrix": ({"transition": np.eye(2)}, r"transition has shape \[2, 2\]; expected"),
    "reward": (
        {"reward": np.ones((3, 2))},
        r"reward has shape \[3, 2\]; expected .* \[2\], \[2, 3\] or, .* \[2, 3, 2\]",
    ),
    "reward by next": ({"reward": np.ones((3, 2, 2))}, r"reward has shape \[3, 2, 2\]"),
    "row": ({"transition": TWO.transition * 0.9}, r"transition\[0, 0\] sums to 0.9"),
    "pairs": (
        {"pairs": ([0], [0])},
        r"transition has shape \[2, 3, 2\]; expected \[L, S\]",
    ),
    "both": (
        {"pairs": ([0], [0]), "layout": "SAS"},
        r"pairs are given with layout or legal",
    ),
    "pair twice": (
        {"reward": [1, 2], "transition": np.eye(2), "pairs": ([0, 0], [1, 1])},
        r"pairs hold a state and action twice",
    ),
    "pair of no state": (
        {"reward": [1, 2], "transition": np.eye(2), "pairs": ([0, 2], [1, 1])},
        r"states of pairs are 0 to 2; expected integers from 0 to 1",
    ),
    "pair of floats": (
        {"reward": [1, 2], "transition": np.eye(2), "pairs": ([0, 1], [1, 0.5])},
        r"actions of pairs have .* dtype float64; expected \[2\] integers",
    ),
    "values too large": (
        {"reward": [1e308, 0]},
        r"reward is as large as 1e\+308: .* discount 0.9 .* at most 2e\+306, as in another",
    ),
    "state without pair": (
        {"reward": [1, 2], "transition": np.eye(2), "pairs": ([0, 0], [0, 1])},
        r"state 1 has no legal action",
    ),
}


@pytest.mark.parametrize(("given", "message"), ILLEGAL.values(), ids=ILLEGAL)
def test_illegal_arrays(given, message):
    arguments = {
        "reward": TWO.reward,
        "transition": TWO.transition,
        "discount": 0.9,
    } | given
    with pytest.raises(ValueError, match=message):
        pve.from_arrays(**arguments)


entries = st.sampled_from([0, 1, 0.5, -1, np.nan, np.inf, -np.inf, 1e308, -2.8e-17])
shapes = st.lists(st.integers(0, 3), max_size=3).map(tuple)


@st.composite
def arrays(draw):
    """Arrays of any shape and content, the more often such as are nearly legal."""
    shape = draw(st.one_of(shapes, st.sampled_from([(2, 2, 2), (2, 1, 2), (1, 2, 2)])))
    size = int(np.prod(shape))
    found = np.array(draw(st.lists(entries, min_size=size, max_size=size))).reshape(shape)
    if draw(st.booleans()) and found.size and found.ndim:
        found = np.eye(shape[-1])[np.zeros(shape[:-1], int)]
    form = draw(st.sampled_from(["array", "list", "sparse", "object"]))
    if form == "sparse" and found.ndim == 3:
        return [sparse.csr_array(m) for m in found]
    if form == "object":
        return found.astype(object)
    return found.tolist() if form == "list" else found


@settings(max_examples=300)
@given(
    arrays(),
    arrays(),
    st.sampled_from([0.9, 1, "0.9", None]),
    st.sampled_from([None, "SAS", "ASS", "AS"]),
    st.sampled_from([None, None, ([0, 1], [0, 0]), ([0], [0]), 3]),
    st.sampled_from([None, False, True, 1]),
)
def test_any_arrays_are_an_mdp_or_refused(
    reward, transition, discount, layout, pairs, sparsely
):
    try:
        mdp = pve.from_arrays(
            reward, transition, discount, layout=layout, pairs=pairs, sparse=sparsely
        )
    except (ValueError, TypeError):
        return
    check_is_mdp(mdp)


def by_layout(array, layout, form):
    """An array ``[S, A, S]`` in a layout, in one of the forms in which people have it."""
    array = array if layout == "SAS" else array.swapaxes(0, 1)
    if form == "sparse":
        return [sparse.coo_matrix(matrix) for matrix in array]
    if form == "objects":  # matrices in a row of NumPy's
        row = np.empty(len(array), object)
        row[:] = [sparse.csr_matrix(matrix) for matrix in array]
        return row
    return {"array": array, "list": array.tolist(), "matrices": list(array)}[form]


@st.composite
def laid_out(draw):
    """A world as people lay it out: the arguments, and reward, transition and mask."""
    random = np.random.default_rng(draw(seeds))
    shape = states, actions = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    transition = random.dirichlet(np.ones(states), shape)
    transition *= random.random(transition.shape) < draw(st.sampled_from([0.4, 1]))
    transition[..., 0] += transition.sum(-1) == 0
    transition /= transition.sum(-1, keepdims=True)
    rounded = np.round(transition, draw(st.sampled_from([6, 17])))  # .333333 thrice
    transition = rounded / rounded.sum(-1, keepdims=True)
    legal = random.random(shape) < draw(st.sampled_from([0.5, 1]))
    legal[np.arange(states), random.integers(actions, size=states)] = True
    reward = random.choice([0, 1, -0.04, 2.5, -1e10, 1e-9], shape)
    how = draw(st.sampled_from(["mask", "reward", "pairs"]))
    by = draw(st.sampled_from(["state", "pair", "next state"]))
    by = "pair" if how == "pairs" else by
    if by == "state":
        gains = reward[:, 0]
        reward = np.repeat(gains[:, None], actions, 1)
    elif by == "next state":
        gains = reward[..., None] + random.normal(size=transition.shape)
        reward = (transition * gains).sum(-1)
    else:
        gains = reward
    layout, given_ = draw(st.sampled_from(["SAS", "ASS"])), {}
    form = draw(st.sampled_from(["array", "list", "matrices", "sparse", "objects"]))
    if how == "pairs":
        s, a = pairs = np.nonzero(legal)
        order = random.permutation(len(s))
        rows = rounded[s, a][order]
        given_ = {
            "reward": gains[s, a][order],
            "transition": sparse.csr_matrix(rows) if form == "sparse" else rows,
            "pairs": tuple(side[order] for side in pairs),
        }
        actions = a.max() + 1
        reward, transition, legal = (x[:, :actions] for x in (reward, transition, legal))
    else:
        if how == "reward" and by == "pair":
            gains = np.where(legal, gains, -np.inf)
        else:
            given_["legal"] = legal
            if draw(st.booleans()):  # what is not legal may hold anything
                rounded = np.where(legal[..., None], rounded, random.choice([0, 7]))
        if by == "next state":
            gains = by_layout(gains, layout, form)
        given_ |= {"reward": gains, "transition": by_layout(rounded, layout, form)}
        if states == actions or layout == "SAS" or draw(st.booleans()):
            given_["layout"] = layout
    starts = random.dirichlet(np.ones(states)) if draw(st.booleans()) else None
    names = [f"s{n}" for n in range(states)] if draw(st.booleans()) else None
    given_ |= {"start": starts, "state_names": names}
    given_["discount"] = draw(st.sampled_from([0, 0.5, 0.99, 0.999999, 1 - 1e-9]))
    given_["sparse"] = draw(st.sampled_from([None, False, True]))
    return given_, reward, transition, legal


FAULTS = {  # what no argument may be
    "discount": [1, -0.1, np.nan, "0.9", None, 1j],
    "layout": ["SSA", 3],
    "legal": ["no", [True], 3, np.zeros((2, 2))],
    "start": [[2.0], "here", np.nan, [[1.0]], [0.5] * 9],
    "state_names": ["s", [], 3, ["s"] * 9],
    "reward": [None, "much", [[1], [1, 2]], np.ones(9), [[np.nan]]],
    "transition": [None, "far", [], np.ones((2, 2, 2)), [[[2, -1]]], sparse.eye(2)],
    "pairs": [3, ([0], [-1]), ([0.5], [0]), ([0, 0], [0, 0])],
    "sparse": [1, "yes"],
}


@settings(max_examples=300)
@given(laid_out(), st.sampled_from([None] * 27 + list(FAULTS)), st.data())
def test_any_layout_is_the_same_world(drawn, fault, data):
    """Layouts, forms, masks, rounded rows, starts, names, discounts, sparse or not."""
    given_, reward, transition, legal = drawn
    if fault is not None:
        wrong = data.draw(st.sampled_from(FAULTS[fault]))
        with pytest.raises((ValueError, TypeError)):
            pve.from_arrays(**(given_ | {fault: wrong}))
        return
    mdp = pve.from_arrays(**given_)
    dense, discount = check_is_mdp(mdp), given_["discount"]
    assert isinstance(mdp, pve.SparseMDP) == bool(given_["sparse"])
    mask = np.ones(legal.shape, bool) if mdp.legal is None else mdp.legal
    np.testing.assert_array_equal(mask, legal)
    np.testing.assert_allclose(dense.transition[legal], transition[legal], atol=1e-15)
    np.testing.assert_allclose(dense.reward[legal], reward[legal], rtol=1e-13, atol=1e-13)
    if given_["start"] is not None:
        np.testing.assert_allclose(mdp.start, given_["start"], rtol=1e-15)
    assert list(mdp.state_names or []) == (given_["state_names"] or [])

    def backup(value):
        later = discount * (transition @ value), discount * (transition @ np.abs(value))
        return reward + later[0], np.abs(reward) + later[1]

    check_optimum(mdp, legal, backup)


# Files ------------------------------------------------------------------------------


def test_saved_and_loaded(tmp_path):
    mdp = random_mdp(0, 2, 2)
    legal = [[True, False], [True, True]]
    known = pve.MDP(
        mdp.reward, mdp.transition, 0.9, legal, [0.5, 0.5], ["ä", "b"], ["l", "r"]
    )
    for each, name in ((mdp, "plain"), (known, "known.npz")):
        each.save(tmp_path / name)
        again = pve.MDP.load(tmp_path / name)
        assert same(again, each)
        assert fingerprint(again) == fingerprint(each)
        assert again.state_names == each.state_names
        assert again.action_names == each.action_names
    assert again.legal.tolist() == legal
    assert again.start.tolist() == [0.5, 0.5]
    assert sorted(os.listdir(tmp_path)) == ["known.npz", "plain"]


class Harmful:
    def __reduce__(self):
        return os.mkdir, ("harm",)


def test_files_that_hold_no_mdp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "mdp.npz"
    random_mdp(0).save(path)
    content = path.read_bytes()
    with np.load(path) as stored:
        fields = dict(stored)
    buffer = io.BytesIO()
    np.save(buffer, np.ones(3))
    single = buffer.getvalue()
    flipped = bytearray(content)
    flipped[len(content) // 3] ^= 4

    def write(**changed):
        np.savez(path, **{k: v for k, v in (fields | changed).items() if v is not None})

    for make, message in (
        (lambda: path.unlink(), r"mdp.npz' cannot be read: .*No such file"),
        (
            lambda: path.write_bytes(b""),
            r"mdp.npz' is not an MDP file: .*; expected an .npz file with",
        ),
        (
            lambda: path.write_bytes(b"reward,1,2"),
            r"is not an MDP file: it holds no arrays; expected",
        ),
        (lambda: path.write_bytes(flipped), r"is not an MDP file: .*; expected"),
        (lambda: path.write_bytes(content[:200]), r"is not an MDP file: .*; expected"),
        (lambda: path.write_bytes(single), r"it holds a single array; expected"),
        (lambda: write(reward=None), r"it holds no 'reward'"),
        (lambda: write(more=1), r"it holds 'more'"),
        (lambda: write(discount=[0.9, 0.9]), r"its discount is not a number"),
        (lambda: write(state_names=[1, 2, 3]), r"state_names are not strings"),
        (
            lambda: write(reward=np.ones((2, 2))),
            r"transition has shape \[3, 2, 3\]; expected",
        ),
        (lambda: write(reward=np.array([Harmful()])), r"is not an MDP file: .*pickle"),
        (lambda: path.write_bytes(pickle.dumps(Harmful())), r"is not an MDP file: "),
    ):
        make()
        with pytest.raises(ValueError, match=message):
            pve.MDP.load(path)
    assert not (tmp_path / "harm").exists()
    with pytest.raises(ValueError, match=r"x' cannot be written: .*No such file"):
        random_mdp(0).save(tmp_path / "nowhere" / "x")


def test_matrices_in_an_object_array_are_a_list_of_matrices():
    matrices = [sparse.csr_array(np.eye(3)), sparse.csr_array(np.full((3, 3), 1 / 3))]
    boxed = np.empty(2, object)
    boxed[:] = matrices
    reward = np.arange(6.0).reshape(3, 2)
    expected = pve.from_arrays(reward, matrices, 0.9)
    found = pve.from_arrays(reward, boxed, 0.9)
    np.testing.assert_array_equal(found.transition, expected.transition)
    assert isinstance(pve.from_arrays(reward, boxed, 0.9, sparse=True), pve.SparseMDP)


@pytest.mark.parametrize("layout", ["ASS", "SAS"])
def test_sparse_worlds_take_rewards_by_the_next_state(layout):
    random = np.random.default_rng(0)
    shape = (2, 3, 3) if layout == "ASS" else (3, 2, 3)
    transition = random.dirichlet(np.ones(3), shape[:2])
    reward = random.normal(size=shape)
    expected = pve.from_arrays(reward, transition, 0.9, layout=layout)
    matrices = [sparse.csr_array(matrix) for matrix in transition]
    found = pve.from_arrays(reward, matrices, 0.9, layout=layout, sparse=True)
    np.testing.assert_allclose(found.reward, expected.reward)


def test_every_bit_of_a_small_file(tmp_path):
    path = tmp_path / "world.npz"
    pve.MDP([[1.0]], [[[1.0]]], 0.5).save(path)
    sound = path.read_bytes()
    for position in range(len(sound)):
        content = bytearray(sound)
        content[position] ^= 1
        path.write_bytes(content)
        with contextlib.suppress(ValueError, TypeError):
            pve.MDP.load(path)
