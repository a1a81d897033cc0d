"""The same arithmetic, faster. Importing this package plugs these forms into the textbook.

A fast form exists only where it is worth it: `products` and `loss` save most time in a wide model,
`attention` and `feed_forward` save memory. Each form has the name of the kernel that it replaces,
and computes the same result: `tests/fast/test_forms.py` compares each pair.

`threads` divides work among the cores, `replicas` divides a batch among threads, and `machines`
divides it among machines. `recompute` saves memory by computing forward passes twice.
"""

from minigpt.core.kernels import Forms, plug_in
from minigpt.fast import attention, feed_forward, loss, products, threads
from minigpt.fast.flat_guard import guard_flat_arrays

FORMS: Forms = {
    "linear": products.linear,
    "linear_backward": products.linear_backward,
    "attention": attention.attention,
    "attention_backward": attention.attention_backward,
    "feed_forward": feed_forward.feed_forward,
    "feed_forward_backward": feed_forward.feed_forward_backward,
    "head_loss": loss.head_loss,
    "in_pieces": threads.in_pieces,
    "last_logits": threads.last_logits,
}
"""Name of a kernel → its fast form, for the kernels that have one."""

plug_in(FORMS)
guard_flat_arrays()
