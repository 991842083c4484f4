"""Answer what people ask of seams before work crosses them: from the documents, and from what was measured."""
