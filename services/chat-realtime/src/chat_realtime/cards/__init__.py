"""Track cards on messages: links found in text, cards that track-unfurl made of them."""
