"""What a model author asks for: find, create, try and check a model."""
