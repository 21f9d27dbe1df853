"""What commands do, without printing: loading, checking, running, judging, joined in the order that keeps promises."""
