r"""Powers of the Bellman operators of a batch of policies, and their gradients.

For policies :math:`\pi_b` with rewards :math:`r_b` and a discounted transition
:math:`p(s' \mid s, a)`, the same for all of them, a power iterates

.. math::

   v_{k+1} = r_b + P_b\, v_k, \qquad
   P_b(s, s') = \sum_a \pi_b(a \mid s)\, p(s' \mid s, a),

from :math:`v_0` to :math:`v_K`. Let :math:`\lambda_k` be the derivative of a scalar with
respect to :math:`v_k`. The adjoints run backwards from the given :math:`\lambda_K`,

.. math:: \lambda_k = P_b^\top \lambda_{k+1}, \qquad \lambda_0 = \bar v_0,

and all other derivatives are sums of outer products of adjoints and iterates,

.. math::

   \bar r_b = \sum_{k=1}^K \lambda_k, \qquad
   O_b = \sum_{k=1}^K \lambda_k\, v_{k-1}^\top, \qquad
   \bar p(s' \mid s, a) = \sum_b \pi_b(a \mid s)\, O_b(s, s'), \qquad
   \bar\pi_b(a \mid s) = \sum_{s'} O_b(s, s')\, p(s' \mid s, a).

The iteration reads the same matrix :math:`K` times. Where that matrix stays meanwhile
decides the speed, and so there are several implementations of the one function:
``"chains"`` for the cores of a CPU, ``"kernel"`` for a GPU, ``"products"`` for other
devices or too many states, and ``"reference"`` to measure the others by.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jaxtyping import Float

from pve.checks import Array, check_positive_integer

# By default a GPU may multiply float32 matrices in TF32, which keeps ten bits of the
# fraction: relative errors near 1e-3, where the chapters tell apart far less. On a CPU
# this changes nothing.
HIGHEST = jax.lax.Precision.HIGHEST

# Policies whose chains are iterated together. One matrix of Four Rooms is 43 kB in
# float32; ten of them stay in a core's second-level cache through all K products.
GROUP = 10

# Numbers of a [k, B, S, A] array that "products" forms at once, for one run: 16 MB in
# float32, which holds all K = 60 steps of 50 policies in Four Rooms.
BLOCK = 2**22

# States that a chain of "kernel" is padded to, a power of two for Triton. A chain of
# the largest size is 64 kB, and 64 registers of each thread in eight warps hold it.
SMALLEST, LARGEST = 16, 128
WARPS = 8

Transition = Float[Array, "S A S"]
Policies = Float[Array, "B S A"]
Values = Float[Array, "B S"]
# What a forward pass keeps; derivatives by transition, reward, policies and values.
Residuals = tuple[Array, Array, Array]
Cotangents = tuple[Transition, Values, Policies, Values]


def policy_power(
    order: int,
    transition: Transition,
    reward: Values,
    policies: Policies,
    values: Values,
    *,
    implementation: str = "chains",
) -> Values:
    """Iterate v ← r_π + P_π v, ``order`` times, for a batch of policies.

    Differentiable in all four arrays, in reverse mode; works under ``jit``, ``scan`` and
    ``vmap``. All arrays are of one float type. All matrix products are of full precision,
    whatever the device's default.

    ==============  ====================================================================
    implementation  how
    ==============  ====================================================================
    ``reference``   The definition, differentiated by JAX. Slow and obviously right.
    ``chains``      Forms P_π once per policy, few enough at a time for a core's cache.
    ``products``    Never forms P_π: each step takes one product of all values with the
                    transition and weights it by the policies.
    ``kernel``      A Pallas kernel whose programs hold one P_π each on the chip; for
                    up to 128 states, beyond which it is ``products``. Interpreted,
                    hence slow, unless JAX's default backend is a GPU.
    ==============  ====================================================================

    Args:
      order: how often the operator is applied, K ≥ 1.
      transition: ``[S, A, S]``, discounted.
      reward: ``[B, S]``, of the policies.
      policies: ``[B, S, A]``.
      values: ``[B, S]``.
      implementation: one of the names in ``IMPLEMENTATIONS``.

    Returns:
      ``[B, S]``. The implementations differ in the last bits.

    Raises:
      ValueError: the order is below 1 or there is no such implementation.
      TypeError: the order is not an integer.
    """
    power = IMPLEMENTATIONS[check_implementation(implementation)]
    order = check_positive_integer("order", order)
    arrays = (jnp.asarray(array) for array in (transition, reward, policies, values))
    return power(order, *arrays)


def check_implementation(name: Any) -> str:
    """Return the name; raise unless it is one of ``IMPLEMENTATIONS``."""
    if name not in tuple(IMPLEMENTATIONS):
        legal = ", ".join(map(repr, IMPLEMENTATIONS))
        raise ValueError(f"implementation is {name!r}; expected one of {legal}")
    return name


def _split(array: Array, most: int) -> Array:
    """Group the leading axis by its largest divisor that is at most ``most``."""
    count = len(array)
    sizes = range(1, min(most, count) + 1)
    group = max(size for size in sizes if count % size == 0)
    return array.reshape(-1, group, *array.shape[1:])


# The definition ---------------------------------------------------------------------


def _reference(
    order: int, transition: Transition, reward: Values, policies: Policies, values: Values
) -> Values:
    def step(values: Array, _: None) -> tuple[Array, None]:
        means = jnp.einsum("sat,bt->bsa", transition, values, precision=HIGHEST)
        return reward + (policies * means).sum(-1), None

    return jax.lax.scan(step, values, length=order)[0]


# Chains formed once, in groups ------------------------------------------------------


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _chains(
    order: int, transition: Transition, reward: Values, policies: Policies, values: Values
) -> Values:
    """Form each P_π once, a group of policies at a time, so that a group stays in cache.

    The derivative keeps the iterates, runs the adjoint through the same loop and takes
    all outer products in one batched matrix product, where automatic differentiation
    would add a [B, S, S] array at each of the ``order`` steps.
    """
    return _chains_forward(order, transition, reward, policies, values)[0]


def _form_chains(transition: Transition, policies: Policies) -> Float[Array, "B S S"]:
    return (policies[..., None] * transition).sum(-2)


def _chains_forward(
    order: int, transition: Transition, reward: Values, policies: Policies, values: Values
) -> tuple[Values, Residuals]:
    def iterate(group: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        reward, policies, values = group
        chains = _form_chains(transition, policies)

        def step(values: Array, _: None) -> tuple[Array, Array]:
            moved = jnp.einsum("bst,bt->bs", chains, values, precision=HIGHEST)
            return reward + moved, values

        return jax.lax.scan(step, values, length=order)

    groups = tuple(_split(x, GROUP) for x in (reward, policies, values))
    final, iterates = jax.lax.map(iterate, groups)
    return final.reshape(values.shape), (transition, policies, iterates)


def _chains_backward(order: int, residuals: Residuals, cotangent: Values) -> Cotangents:
    transition, policies, iterates = residuals

    def adjoint(transition_bar: Array, group: Any) -> tuple[Array, Any]:
        policies, iterates, cotangent = group
        chains = _form_chains(transition, policies)

        def step(adjoint: Array, _: None) -> tuple[Array, Array]:
            moved = jnp.einsum("bst,bs->bt", chains, adjoint, precision=HIGHEST)
            return moved, adjoint

        at_start, adjoints = jax.lax.scan(step, cotangent, length=order)
        backwards = adjoints[::-1]
        outer = jnp.einsum("kbs,kbt->sbt", backwards, iterates, precision=HIGHEST)
        weights = policies.transpose(1, 2, 0)
        transition_bar += jnp.matmul(weights, outer, precision=HIGHEST)
        policies_bar = jnp.einsum("sbt,sat->bsa", outer, transition, precision=HIGHEST)
        return transition_bar, (adjoints.sum(0), policies_bar, at_start)

    groups = _split(policies, GROUP), iterates, _split(cotangent, GROUP)
    start = jnp.zeros_like(transition)
    transition_bar, rest = jax.lax.scan(adjoint, start, groups)
    reward_bar, policies_bar, values_bar = (x.reshape(-1, *x.shape[2:]) for x in rest)
    return transition_bar, reward_bar, policies_bar, values_bar


_chains.defvjp(_chains_forward, _chains_backward)


# Products with the transition, no chains --------------------------------------------


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _products(
    order: int, transition: Transition, reward: Values, policies: Policies, values: Values
) -> Values:
    """Multiply all values by the transition, then weight by the policies, at every step.

    That is A times the arithmetic of a product with a chain that is formed already, but
    in one large matrix product, [B, S] @ [S, S * A], with a matrix that all policies
    share. It keeps [K, B, S] iterates and as many adjoints; nothing is [B, S, S].
    """
    return _products_forward(order, transition, reward, policies, values)[0]


def _products_forward(
    order: int, transition: Transition, reward: Values, policies: Policies, values: Values
) -> tuple[Values, Residuals]:
    def step(values: Array, _: None) -> tuple[Array, Array]:
        means = jnp.einsum("bt,sat->bsa", values, transition, precision=HIGHEST)
        return reward + (policies * means).sum(-1), values

    final, iterates = jax.lax.scan(step, values, length=order)
    return final, (transition, policies, iterates)


def _products_backward(order: int, residuals: Residuals, cotangent: Values) -> Cotangents:
    transition, policies, iterates = residuals

    def step(adjoint: Array, _: None) -> tuple[Array, Array]:
        weighted = policies * adjoint[..., None]
        moved = jnp.einsum("bsa,sat->bt", weighted, transition, precision=HIGHEST)
        return moved, adjoint

    values_bar, adjoints = jax.lax.scan(step, cotangent, length=order, reverse=True)

    def add(sums: tuple[Array, Array], block: Any) -> tuple[tuple[Array, Array], None]:
        transition_bar, policies_bar = sums
        adjoints, values = block  # [k, B, S]
        weighted = policies * adjoints[..., None]
        outer = jnp.einsum("kbsa,kbt->sat", weighted, values, precision=HIGHEST)
        means = jnp.einsum("kbt,sat->kbsa", values, transition, precision=HIGHEST)
        policies_bar += (means * adjoints[..., None]).sum(0)
        return (transition_bar + outer, policies_bar), None

    # The outer products of all steps and policies are one matrix product whose inner
    # length is K * B, which is what an accelerator is fast at. Its left factor has A
    # times as many numbers as the adjoints, so long or wide problems take it in blocks
    # of steps; at the sizes of the experiments there is one block.
    most = max(1, BLOCK // policies.size)
    blocks = _split(adjoints, most), _split(iterates, most)
    start = jnp.zeros_like(transition), jnp.zeros_like(policies)
    (transition_bar, policies_bar), _ = jax.lax.scan(add, start, blocks)
    return transition_bar, adjoints.sum(0), policies_bar, values_bar


_products.defvjp(_products_forward, _products_backward)


# Chains held on the chip, one program per policy ------------------------------------


def _kernel(
    order: int, transition: Transition, reward: Values, policies: Policies, values: Values
) -> Values:
    """Hold a policy's chain on the chip through all steps, if it fits; see `_on_chip`."""
    power = _on_chip if len(transition) <= LARGEST else _products
    return power(order, transition, reward, policies, values)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _on_chip(
    order: int, transition: Transition, reward: Values, policies: Policies, values: Values
) -> Values:
    """Iterate in a kernel, one program per policy, each with its chain in registers.

    States are padded with zeros to P, a power of two. The padded copy of the transition
    takes P² / S² times its memory: half as much again in Four Rooms, nearly four times
    just above a power of two. Iterates and adjoints are [B, K, P] each. The derivative's
    outer products are XLA's and pass through a [B, P, P] array. Where ``vmap`` batches
    runs, every run has all of these.
    """
    return _on_chip_forward(order, transition, reward, policies, values)[0]


def _pad(array: Array, size: int, *axes: int) -> Array:
    widths = [(0, 0)] * array.ndim
    for axis in axes:
        widths[axis] = (0, size - array.shape[axis])
    return jnp.pad(array, widths)


def _launch(kernel: Callable[..., None], inputs: list[Array], outputs: list[Array]) -> Any:
    """Run a kernel, one program per policy.

    Args:
      kernel: called with a program's references, inputs first.
      inputs: the first is ``[A, P, P]``, and each program sees all of it; of the others,
        ``[B, …]``, each sees its row.
      outputs: shapes and types, ``[B, …]``, of which each program writes its row.
    """

    def row(array: Array) -> pl.BlockSpec:
        rest = array.shape[1:]
        return pl.BlockSpec((None, *rest), lambda b: (b, *(0 for _ in rest)))

    whole = pl.BlockSpec(inputs[0].shape, lambda b: (0, 0, 0))
    call = pl.pallas_call(
        kernel,
        grid=(len(inputs[1]),),
        in_specs=[whole, *map(row, inputs[1:])],
        out_specs=[row(shape) for shape in outputs],
        out_shape=outputs,
        **_target(),
    )
    return call(*inputs)


def _target() -> dict[str, Any]:
    """How a kernel is compiled: by Triton for a GPU, else interpreted."""
    if jax.default_backend() != "gpu":
        return {"interpret": True}
    from jax.experimental.pallas import triton  # JAX has it where there may be a GPU

    return {"compiler_params": triton.CompilerParams(num_warps=WARPS, num_stages=1)}


def _on_chip_forward(
    order: int, transition: Transition, reward: Values, policies: Policies, values: Values
) -> tuple[Values, Residuals]:
    num_states, num_actions, _ = transition.shape
    size = max(SMALLEST, 1 << (num_states - 1).bit_length())

    def kernel(
        transposed: Any, policy: Any, reward: Any, value: Any, final: Any, iterates: Any
    ) -> None:
        # The chain lies transposed, [S', S]. A product then sums down the rows, most of
        # which one thread holds, and no tensor core shortens the numbers.
        chain = transposed[0, :, :] * policy[0, :][None, :]
        for a in range(1, num_actions):
            chain += transposed[a, :, :] * policy[a, :][None, :]
        constant = reward[:]

        def step(k: Array, value: Array) -> Array:
            iterates[k, :] = value
            return constant + (chain * value[:, None]).sum(0)

        final[:] = jax.lax.fori_loop(0, order, step, value[:])

    padded = _pad(policies.swapaxes(1, 2), size, 2)  # [B, A, P]
    inputs = [
        _pad(transition.transpose(1, 2, 0), size, 1, 2),  # [A, S', S]
        padded,
        _pad(reward, size, 1),
        _pad(values, size, 1),
    ]
    count = len(values)
    outputs = [
        jax.ShapeDtypeStruct((count, size), values.dtype),
        jax.ShapeDtypeStruct((count, order, size), values.dtype),
    ]
    final, iterates = _launch(kernel, inputs, outputs)
    return final[:, :num_states], (transition, padded, iterates)


def _on_chip_backward(order: int, residuals: Residuals, cotangent: Values) -> Cotangents:
    transition, policies, iterates = residuals
    num_states, num_actions, _ = transition.shape
    size = iterates.shape[-1]

    def kernel(
        transition: Any, policy: Any, cotangent: Any, at_start: Any, adjoints: Any
    ) -> None:
        # The adjoint's matrix is the transpose, so here the chain lies as it is, [S, S'].
        chain = transition[0, :, :] * policy[0, :][:, None]
        for a in range(1, num_actions):
            chain += transition[a, :, :] * policy[a, :][:, None]

        def step(done: Array, adjoint: Array) -> Array:
            adjoints[order - 1 - done, :] = adjoint
            return (chain * adjoint[:, None]).sum(0)

        at_start[:] = jax.lax.fori_loop(0, order, step, cotangent[:])

    action_first = _pad(transition.swapaxes(0, 1), size, 1, 2)  # [A, S, S']
    inputs = [action_first, policies, _pad(cotangent, size, 1)]
    outputs = [
        jax.ShapeDtypeStruct((*cotangent.shape[:1], size), cotangent.dtype),
        jax.ShapeDtypeStruct(iterates.shape, iterates.dtype),
    ]
    at_start, adjoints = _launch(kernel, inputs, outputs)
    # Padded until the end: matrix products are faster at such sizes.
    outer = jnp.einsum("bks,bkt->bst", adjoints, iterates, precision=HIGHEST)
    transition_bar = jnp.einsum("bas,bst->sat", policies, outer, precision=HIGHEST)
    policies_bar = jnp.einsum("bst,ast->bsa", outer, action_first, precision=HIGHEST)
    return (
        transition_bar[:num_states, :, :num_states],
        adjoints.sum(1)[:, :num_states],
        policies_bar[:, :num_states],
        at_start[:, :num_states],
    )


_on_chip.defvjp(_on_chip_forward, _on_chip_backward)


IMPLEMENTATIONS: dict[str, Callable[..., Array]] = {
    "reference": _reference,
    "chains": _chains,
    "products": _products,
    "kernel": _kernel,
}
