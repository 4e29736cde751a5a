"""The queue of extractions as a list: model, delegate, texts, actions."""
