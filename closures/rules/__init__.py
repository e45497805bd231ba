"""Pure rules: facts in, verdict (codes, numbers) out. No Django, no clock, no input or output."""
