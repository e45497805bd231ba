"""What machines call: partners' callbacks. The customers' API comes with its own issue."""
