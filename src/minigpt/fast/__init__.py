"""The same arithmetic, faster. Importing this package plugs these forms into the textbook.

A form is here only where it pays: `products` and `loss` bring the most in a wide model, `attention`
and `feed_forward` save memory. Each has the name of the kernel that it stands for, and the same
result: `tests/fast/test_forms.py` holds each pair equal.

`threads` shares out work among the cores, `replicas` a batch among threads, `machines` a batch
among machines; `recompute` keeps less memory and computes twice.
"""

from minigpt.core.kernels import Forms, plug_in
from minigpt.fast import attention, feed_forward, loss, products, threads
from minigpt.fast.laying import keep_in_one_piece

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
"""The fast form of each kernel that has one, by its name."""

plug_in(FORMS)
keep_in_one_piece()
