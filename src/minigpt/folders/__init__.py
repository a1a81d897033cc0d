"""A model on disk: Hugging Face's GPT-2 folders, safetensors, the hub."""
