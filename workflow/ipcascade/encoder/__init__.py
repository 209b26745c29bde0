"""The pre-trained encoder, its tokenizer, and the token cache."""
